"""Every line and every row of the protocol's tables is covered by a test; see rows.py."""

import rows


def test_every_row_and_line_is_covered() -> None:
    assert rows.uncovered() == []


def test_what_is_cited_exists() -> None:
    assert sorted(rows.cited().keys() - rows.known()) == []


def test_the_tables_have_the_rows_of_the_original() -> None:
    documented = rows.documented()
    assert len(documented) == len(set(documented)), "a row is there twice"
    assert sorted(rows.ORIGINAL - set(documented)) == []
