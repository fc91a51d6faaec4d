"""`report` writes one page about a run."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from page_helpers import check_whole
from run_helpers import FEW_NETS, Finished

from darts_lite.cli.main import main

HOSTILE = "<script>alert(1)<"


def test_a_page_stands_in_the_runs_folder(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "quick" / "version_0"
    shutil.copytree(finished.directory, run, ignore=shutil.ignore_patterns("events*"))
    main(["report", str(run)])
    assert capsys.readouterr().out == f"{run}/report.html\n"
    page = check_whole((run / "report.html").read_text())
    assert "quick/version_0" in page.text and page.tags.count("img") == 5
    assert page.tags.count("h2") == 7 and "details" in page.tags


def test_a_hostile_run_is_shown_as_text(finished: Finished, tmp_path: Path) -> None:
    run = tmp_path / HOSTILE / "<img src=x onerror=alert(1)>"
    shutil.copytree(finished.directory, run, ignore=shutil.ignore_patterns("events*", "*.ckpt"))
    summary = json.loads((run / "summary.json").read_text())
    names = [f"{HOSTILE}/script>{number}" for number in range(10)]
    wrong = {"class_names": names, "dataset": HOSTILE, "device": HOSTILE, "algorithm": HOSTILE}
    (run / "summary.json").write_text(json.dumps(summary | wrong))
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["run"]["name"] = config[HOSTILE] = HOSTILE
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    main(["report", str(run), "--output", str(tmp_path / "new" / "page.html")])
    text = (tmp_path / "new" / "page.html").read_text()
    page = check_whole(text)
    assert page.text.count(HOSTILE) >= 5 and "<script" not in text
    assert any(HOSTILE in str(alt) for alt in page.alts)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["{empty}"], "no run in"),
        (["{run}", "--output", "{empty}/page.pdf"], "must be an .html file"),
        (["{run}", "--output", "{run}/summary.json/page.html"], "set --output to another"),
    ],
)
def test_what_cannot_be_written_is_one_line(
    words: list[str],
    told: str,
    finished: Finished,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"run": finished.directory, "empty": tmp_path}
    with pytest.raises(SystemExit):
        main(["report", *(word.format(**places) for word in words)])
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1 and not any(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.usefixtures("found_digits")
def test_a_chain_with_rivals_has_a_page(tmp_path: Path, configs: Path) -> None:
    short = ["--data.search_batches_per_epoch=8", "--data.least_batches_per_epoch=1", *FEW_NETS]
    short += ["--retraining.max_epochs=1", "--run.control=random", "--run.control_nets=2"]
    short += [f"--run.folder={tmp_path}", "--run.launcher=here"]
    main(["fit", "--config", str(configs / "mnist.yaml"), *short])
    run = tmp_path / "mnist" / "version_0"
    main(["report", str(run)])
    page = check_whole((run / "report.html").read_text())
    assert "Random net 2" in page.text and "bytes of activations at once" in page.text
    assert "without shares" in page.text
