"""The dashboard without Grafana: the panels of Grafana's own JSON, drawn into one HTML page.

``panels`` reads the JSON, ``macros`` makes SQL of its queries, ``queries`` runs them, ``figures`` draws the rows, and
``page`` puts it together; ``command`` and ``server`` are the verb.
"""
