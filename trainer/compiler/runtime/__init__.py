"""The SQL functions that compiled models call, one file each."""

from importlib.resources import files

from trainer.compiler.code_generator import quote_identifier

# Stands for the quoted schema in the files, and occurs in none of their comments.
PLACEHOLDER = "@schema@"
DOLLAR_QUOTE = "$function$"

HELPERS = frozenset(
    entry.name.removesuffix(".sql") for entry in files(__package__).iterdir() if entry.name.endswith(".sql")
)


def runtime_sql(schema: str = "ml") -> str:
    """Return the SQL that installs the helper functions in ``schema``, creating the schema if there is none.

    It may run any number of times, alone or in a transaction of the caller's. Raises `UnsupportedModelError`
    for a schema name that PostgreSQL cannot hold.
    """
    quoted = quote_identifier(schema)
    tag = DOLLAR_QUOTE
    while tag in quoted:
        tag = f"{tag[:-1]}_$"
    folder = files(__package__)
    texts = [
        entry.read_text(encoding="utf-8").replace(DOLLAR_QUOTE, tag).replace(PLACEHOLDER, quoted)
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".sql")
    ]
    return "\n".join([f"CREATE SCHEMA IF NOT EXISTS {quoted};\n", *texts])
