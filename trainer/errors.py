"""The one error that the command line prints as a sentence instead of a traceback."""


class UserError(Exception):
    """Something the user can mend; the message says what is wrong and what to do, in one sentence.

    The command line ends with ``code``.
    """

    def __init__(self, sentence: str, code: int = 1) -> None:
        super().__init__(sentence)
        self.code = code
