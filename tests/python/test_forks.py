"""A command in a fork ends as it would in a process of its own, and sees what dbt would parse."""

from __future__ import annotations

import signal
from functools import partial

import forks
from test_unit_tests import FAR_FROM_DEFAULT
from warehouse import BOTH_SOURCES, run_dbt, start_dbt


def described(manifest) -> dict[str, dict]:
    """Return what a build takes from a parse: what there is, in which order, and made how."""
    parsed = manifest.writable_manifest().to_dict()
    kinds = ("nodes", "sources", "macros", "exposures", "unit_tests")
    made = ("config", "raw_code", "macro_sql", "columns", "fqn", "relation_name", "given", "expect")
    known = {
        name: {key: one.get(key) for key in made}
        | {"after": {*one.get("depends_on", {}).get("nodes", ())}}
        for kind in kinds
        for name, one in parsed[kind].items()
    }
    return known | dict.fromkeys(parsed["disabled"], "disabled")


def test_a_parse_depends_on_no_other_settings(project):
    """What was parsed with the defaults is taken for them all."""
    others = {x: y for x, y in FAR_FROM_DEFAULT.items() if x not in forks.PARSED_SETTINGS}
    parsed = described(forks.parse(BOTH_SOURCES | others, {"LOYALTY_WAREHOUSE": ":memory:"}))
    known = described(project.manifest)
    assert parsed.keys() == known.keys()
    assert [name for name in parsed if parsed[name] != known[name]] == []


def test_a_fork_ends_as_dbt_does(tmp_path):
    run = partial(run_dbt, tmp_path)
    wrong = ("ls", "--no-such-option")
    fork, process = run(*wrong), run(*wrong, fresh=True)
    assert (fork.exit_code, fork.output) == (process.exit_code, process.output)
    assert run("ls", "--select", "nps").exit_code == 0
    assert run("run", "--select", "nps").exit_code == 1


def test_a_fork_can_be_killed(tmp_path):
    fork = start_dbt(tmp_path, "build")
    assert fork.poll() is None
    fork.kill()
    assert fork.wait(60) == -signal.SIGKILL == fork.poll()
