"""What predictions of unseen events are worth: figures with intervals, sentences that follow from them, a page.

``bootstrap`` draws months or weeks, ``figures`` computes, ``curves`` gives the points of a plot, ``checks`` looks
for leaks, ``conclusions`` says in words what the intervals show, ``holdout_record`` counts how often a holdout was
looked at, ``tables`` prints, ``charts`` and ``page`` make the report. ``trainer.evaluate`` is the verb.
"""
