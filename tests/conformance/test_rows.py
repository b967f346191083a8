"""Every line and every row of the protocol's tables is covered by a test; see rows.py."""

import ast
from inspect import cleandoc

import rows


def test_every_row_and_line_is_covered() -> None:
    assert rows.uncovered() == []


def test_what_is_cited_exists() -> None:
    cited = {identifier for test in rows.tests() for identifier in test.cites}
    assert sorted(cited - rows.known()) == []


def test_the_tables_have_the_rows_of_the_original() -> None:
    documented = rows.documented()
    assert len(documented) == len(set(documented)), "a row is there twice"
    assert sorted(rows.ORIGINAL - set(documented)) == []


def test_each_test_cites_what_it_is_about() -> None:
    """Save those of one short list."""
    assert rows.without_marks() == []
    assert rows.needless() == []


def test_a_line_that_a_docstring_names_is_cited() -> None:
    unmarked = {test.full_name: test.unmarked_lines for test in rows.tests()}
    assert {name: lines for name, lines in unmarked.items() if lines} == {}


def test_how_the_source_of_tests_is_read() -> None:
    """What fails or is skipped covers nothing; ranges of lines are all of them."""
    source = cleandoc(
        '''
        @pytest.mark.covers("one", "two")
        def test_shows():
            """W01, and W03–W05."""

        @pytest.mark.xfail(strict=True)
        @pytest.mark.covers("fails")
        def test_fails(): ...

        @pytest.mark.covers("left out")
        @pytest.mark.skip
        def test_left_out(): ...

        def helper():
            """W07."""
        '''
    )
    tests = list(rows.tests_of(ast.parse(source), "file"))
    assert [test.name for test in tests] == ["test_shows", "test_fails", "test_left_out"]
    assert rows.cited(tests) == {"one": ["file::test_shows"], "two": ["file::test_shows"]}
    assert tests[0].unmarked_lines == ["W01", "W03", "W04", "W05"]
