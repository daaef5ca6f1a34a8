"""The errors a user can cause. Anything else that goes wrong is a bug and keeps its traceback."""


class WmddError(Exception):
    """A user-correctable fault. Its text is one sentence: the file or field, what is wrong, what would be right."""


class SettingsError(WmddError):
    """A setting is unknown, of the wrong type, out of range, or contradicts another one."""


class DataError(WmddError):
    """The images, or a file that stands in for them, cannot be used."""


class ModelError(WmddError):
    """A network or a checkpoint cannot be used."""


class RunError(WmddError):
    """A run directory is missing, foreign, damaged, or was made with other settings."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out, of the machine or of a GPU.

    Told without importing torch, whose CPU allocator raises a plain ``RuntimeError``.
    """
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or "can't allocate" in str(error)
