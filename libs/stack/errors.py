"""What can go wrong with the local stack.

StackError                 a sentence for the person who typed the command, with the remedy
|- MissingTool             Java, Maven or a way to run PostgreSQL is not there
|- StartFailed             a server or process did not become ready
|- NothingRuns             there is no local system to ask; for whoever calls it, a setting is missing
|- Busy                    another stack runs on the same data folder
|- NoSuchLog               no process of that name has a log here
|- NoSuchService           no service of that name keeps rows
|- TopicsDiffer            topics exist with other settings than ours
"""

from __future__ import annotations

from typing import ClassVar

from libs.runtime.settings import SettingsError


class StackError(Exception):
    """One sentence that says what is wrong and what to do about it."""

    code: ClassVar[str] = "STACK"
    category: ClassVar[str] = "PERMANENT"


class MissingTool(StackError):
    """A program that the local servers need is not installed."""

    code = "MISSING_TOOL"


class StartFailed(StackError):
    """A server or a process did not become ready in time."""

    code = "START_FAILED"
    category = "TRANSIENT"


class NothingRuns(StackError, SettingsError):
    """The local system is what is meant, and that what is needed of it does not run."""

    code = "AWAY"
    category = "TRANSIENT"


class Busy(StackError):
    """Another stack holds the data folder."""

    code = "BUSY"


class NoSuchLog(StackError):
    """No process of that name has written a log."""

    code = "LOG_NOT_FOUND"


class NoSuchService(StackError):
    """No service of that name keeps rows."""

    code = "SERVICE_UNKNOWN"


class TopicsDiffer(StackError):
    """A topic exists already, but not as the table says."""

    code = "TOPICS_DIFFER"
