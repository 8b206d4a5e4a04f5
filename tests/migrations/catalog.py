"""A fingerprint of a database's catalog: every object that we make, with its full definition and its rights."""

from typing import Any

import psycopg

OURS = "('public', 'ml', 'ml_generated')"

QUERIES = {
    "columns": f"""
        SELECT c.oid::regclass::text, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
            pg_get_expr(d.adbin, d.adrelid), a.attidentity, col_description(c.oid, a.attnum), c.reloptions
        FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relnamespace::regnamespace::text IN {OURS} AND c.relkind IN ('r', 'p', 'v', 'c')
        ORDER BY 1, 2
    """,
    "column order of types": f"""
        SELECT c.oid::regclass::text, array_agg(a.attname ORDER BY a.attnum)
        FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relnamespace::regnamespace::text IN {OURS} AND c.relkind = 'c' GROUP BY c.oid ORDER BY 1
    """,
    "constraints": f"""
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace::regnamespace::text IN {OURS} ORDER BY 1, 2
    """,
    "indexes": f"SELECT indexname, indexdef FROM pg_indexes WHERE schemaname IN {OURS} ORDER BY 1",
    "functions": f"""
        SELECT p.oid::regprocedure::text, pg_get_functiondef(p.oid), p.proacl::text, obj_description(p.oid, 'pg_proc')
        FROM pg_proc AS p WHERE p.pronamespace::regnamespace::text IN {OURS} AND p.prokind <> 'a' ORDER BY 1
    """,
    "aggregates": f"""
        SELECT p.oid::regprocedure::text, a.aggtransfn::text, a.aggcombinefn::text, a.aggtranstype::regtype::text,
            a.agginitval, p.proparallel, p.proacl::text, obj_description(p.oid, 'pg_proc')
        FROM pg_aggregate AS a JOIN pg_proc AS p ON p.oid = a.aggfnoid
        WHERE p.pronamespace::regnamespace::text IN {OURS} ORDER BY 1
    """,
    "views": f"SELECT schemaname, viewname, definition FROM pg_views WHERE schemaname IN {OURS} ORDER BY 1, 2",
    "triggers": f"""
        SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(t.oid), obj_description(t.oid, 'pg_trigger')
        FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
        WHERE NOT tgisinternal AND c.relnamespace::regnamespace::text IN {OURS} ORDER BY 1, 2
    """,
    "comments and rights": f"""
        SELECT c.oid::regclass::text, obj_description(c.oid, 'pg_class'), c.relacl::text FROM pg_class AS c
        WHERE c.relnamespace::regnamespace::text IN {OURS} AND c.relkind IN ('r', 'p', 'v', 'c', 'S') ORDER BY 1
    """,
    "schemas": f"""
        SELECT nspname, obj_description(oid, 'pg_namespace'), nspacl::text FROM pg_namespace
        WHERE nspname IN {OURS} ORDER BY 1
    """,
    "vocabulary": "SELECT t::text FROM ml.pattern_types AS t ORDER BY 1",
    "phrases": "SELECT p.phrase, p.role, p.pattern_type, p.value, p.words FROM ml.narrative_phrases AS p ORDER BY 1, 2, 3",
    "catalogue": "SELECT f::text FROM public.ml_features AS f ORDER BY 1",
    "timeframes": "SELECT t::text FROM public.ml_timeframes AS t ORDER BY 1",
    "label definitions": "SELECT to_jsonb(d) - 'created_at' - 'created_by' FROM public.ml_label_definitions AS d ORDER BY name",
    "settings": "SELECT s::text FROM public.ml_settings AS s",
    "gates": "SELECT g::text FROM public.ml_gates AS g ORDER BY 1",
    "recorded functions": "SELECT f.version, f.function_name, f.sha256 FROM ml.model_functions AS f ORDER BY 1, 2",
    "models": "SELECT version, artefact_sha256, md5(card::text) FROM public.ml_models ORDER BY 1",
    "aliases": "SELECT a::text FROM public.ml_aliases AS a ORDER BY 1",
}


def fingerprint(db: psycopg.Connection[Any]) -> dict[str, list[tuple[Any, ...]]]:
    """Return all definitions by kind; equal fingerprints mean equal databases."""
    return {
        kind: [
            row
            for row in db.execute(query.encode()).fetchall()
            if row[0] not in ("ml.alembic_version", "alembic_version_pkc")
        ]
        for kind, query in QUERIES.items()
    }
