"""The tiered form: walks for the first rows, calls the CASE form when enough rows have been seen to pay for it.

Two prices are paid for the CASE form: one per session, when PostgreSQL reads it for the first time, and one per
transaction, when its expressions are prepared. Like anyone who rents skis until the rent has reached the price, the
function walks until the rows have cost as much as the CASE form would have: it never costs more than about twice the
best choice made with foresight. The counts live in two settings of the session, one of them local to the transaction.
"""

import hashlib

from trainer.compiler.code_generator import INTEGER
from trainer.compiler.forms.walk import WalkInterpreter
from trainer.compiler.interpreter import PARAMETER


class TieredInterpreter(WalkInterpreter):
    """A walk that gives way to ``case_function``, a quoted name."""

    def __init__(self, runtime_schema: str, case_function: str, session_rows: int, transaction_rows: int) -> None:
        super().__init__(runtime_schema)
        self._case_function = case_function
        self._session_rows = session_rows
        self._transaction_rows = transaction_rows

    def _check_shape(self, size: int) -> None:
        code = self._code
        key = hashlib.sha256(self._case_function.encode()).hexdigest()[:12]
        rows = code.declare("v_rows", INTEGER)
        session, transaction = (f"'pattern_confidence.{scope}_{key}'" for scope in ("session", "transaction"))
        code.assign(rows, self._read(session))
        code.open_if(code.operation(rows, "<", str(self._session_rows)))
        code.perform(self._write(session, "FALSE"))
        code.otherwise()
        code.assign(rows, self._read(transaction))
        code.open_if(code.operation(rows, ">=", str(self._transaction_rows)))
        code.give(code.call(self._case_function, PARAMETER))
        code.close("IF")
        code.perform(self._write(transaction, "TRUE"))
        code.close("IF")
        super()._check_shape(size)

    def _read(self, setting: str) -> str:
        """Give the count in a setting, which is empty or unknown before the first row."""
        code = self._code
        text = code.operation("'0'", "||", code.call("pg_catalog.current_setting", setting, "TRUE"))
        return f"COALESCE({text}, '0')::{INTEGER}"

    def _write(self, setting: str, is_local: str) -> str:
        code = self._code
        count = f"({code.operation('v_rows', '+', '1')})::pg_catalog.text"
        return code.call("pg_catalog.set_config", setting, count, is_local)
