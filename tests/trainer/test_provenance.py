"""Where the data come from: declared, recognised, or said to be unknown."""

import pandas as pd
import pytest
from support import add_bars, insert_event

from trainer.bars import load_bars
from trainer.dataset import load_dataset
from trainer.errors import UserError
from trainer.harvest import harvest
from trainer.label import label_outcomes
from trainer.provenance import NOT_DECLARED, SHIPPED_BARS, find_provenance, refuse_placeholders
from trainer.resources import sample_bars


def labelled(db, files):
    load_bars(db, files)
    harvest(db)
    label_outcomes(db)
    return load_dataset(db)


def test_the_shipped_bars_are_recognised_and_nothing_else(db, tmp_path):
    (ibm,) = (file for file in sample_bars() if file.name.startswith("IBM"))
    # Some of them will do.
    pd.read_csv(ibm).tail(500).to_csv(tmp_path / "ibm.csv", index=False)
    dataset = labelled(db, [tmp_path / "ibm.csv"])
    found = find_provenance(db, dataset)
    assert (found.data_source, found.known_by, found.synthetic) == (SHIPPED_BARS, "comparison", False)
    assert found.warnings == []
    assert found.authors[0].startswith("The account ")

    declared = find_provenance(db, dataset, data_source="Our feed, adjusted.", author="Desk A", contact="desk@a")
    assert (declared.data_source, declared.known_by, declared.synthetic) == (
        "Our feed, adjusted.",
        "declaration",
        False,
    )
    assert (declared.authors, declared.contact) == (("Desk A",), "desk@a")

    db.execute("DELETE FROM price_bars WHERE ts < '2011-06-01'")
    assert find_provenance(db, dataset).data_source == SHIPPED_BARS
    db.execute("UPDATE price_bars SET close = close * 1.0000001 WHERE ts = (SELECT max(ts) FROM price_bars)")
    changed = find_provenance(db, dataset)
    assert (changed.data_source, changed.known_by, changed.synthetic) == (NOT_DECLARED, "nothing", None)
    assert len(changed.warnings) == 1


def test_synthetic_data_are_said_to_be(db):
    times = add_bars(db, "WALK", 400)
    for day in range(300, 360, 7):
        insert_event(db, symbol="WALK", detected_at=times[day])
    label_outcomes(db)
    dataset = load_dataset(db)
    assert find_provenance(db, dataset).synthetic is None
    flagged = find_provenance(db, dataset, synthetic=True)
    assert (flagged.synthetic, flagged.known_by) == (True, "declaration")
    assert "SYNTHETIC DATA" in flagged.warnings[0]
    # A mark on one event of the data set says more than a declaration; one on another event says nothing.
    db.execute("UPDATE pattern_events SET metadata = '{\"synthetic\": true}' WHERE id = %s", (dataset.events["id"][3],))
    assert find_provenance(db, dataset, data_source="A feed.").synthetic
    assert not find_provenance(db, dataset.take([0, 1]), data_source="A feed.").synthetic


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("data_source", "TODO vendor", "--data-source has the placeholder TODO, and .* or leave --data-source out"),
        ("author", "  ", r"--author is empty, .* leave --author \(and PATTERN_CONFIDENCE_AUTHOR\) out"),
        ("contact", "", "--contact is empty"),
        ("license", "<licence>", "--license has the placeholder <licence>"),
    ],
)
def test_a_placeholder_is_refused_with_what_to_do(name, text, said):
    with pytest.raises(UserError, match=said):
        refuse_placeholders({name: text})
    refuse_placeholders({name: "Desk <desk@firm.test>, todos done", "author": None})
