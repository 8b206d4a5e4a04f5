"""What the compiler refuses."""

from trainer.errors import UserError


class UnsupportedModelError(UserError):
    """The model cannot be compiled exactly; the message names the model or the setting that is in the way."""
