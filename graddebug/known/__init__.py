"""What users say about findings in advance: in comments, in pyproject.toml, in a call, in a baseline.

Here it is read and checked; `graddebug.diagnose.acknowledge` says which findings it is about.
"""
