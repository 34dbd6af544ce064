"""What a recording knows of acknowledgements and options, and what whoever reads it adds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from graddebug.diagnose.acknowledge import Acknowledged
from graddebug.known.configuration import Configuration, Options

if TYPE_CHECKING:
    from graddebug.diagnose.rule import Rule
    from graddebug.trace.reader import Recording


def acknowledged_in(recording: Recording, configuration: Configuration) -> Acknowledged:
    """The run's own acknowledgements, then the reader's; a project's file counts as it is now."""
    recorded = recording.acknowledgements
    states = {replace(entry, reached=False): entry for entry in recorded}
    now = [states.get(replace(entry, reached=False), entry) for entry in configuration.acknowledgements]
    kept = [entry for entry in recorded if entry.written != str(configuration.file)]
    return Acknowledged(dict.fromkeys([*kept, *now]))


def options_of(
    recording: Recording, configuration: Configuration, rules: Mapping[str, type[Rule]]
) -> Options:
    """The run's options with the reader's over them; those of rules that are not here are left out."""
    recorded = {
        code: {name: value for name, value in values.items() if name in rules[code].options}
        for code, values in recording.info.options.items()
        if code in rules and isinstance(values, Mapping)
    }
    return configuration.over(Configuration(options=recorded)).options
