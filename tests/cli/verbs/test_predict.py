"""What a net says of image files of any kind."""

import csv
import json
from pathlib import Path

import pytest
import torch
from pictures import write_pictures
from PIL import Image
from run_helpers import Finished

from darts_lite.cli.main import main
from darts_lite.cli.verbs.predict import find_class, predict_files, summarise
from darts_lite.data.images.image_data import ImageData
from darts_lite.export.inference import load_answer
from darts_lite.retraining.familiarity import Familiarity
from darts_lite.storage.checkpoints import Checkpoint


def test_the_command_prints_lines_or_json(
    finished: Finished, digits: ImageData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(digits, tmp_path / "digits", 10)
    words = ["predict", f"--ckpt_path={finished.directory / 'net.ckpt'}"]
    main([*words, "--images", str(tmp_path / "digits")])
    header, *lines = capsys.readouterr().out.splitlines()
    assert header == "image,class,probability,note" and len(lines) == 10
    main([*words, "--images", *2 * [lines[0].split(",")[0]]])
    assert capsys.readouterr().out.splitlines() == [header, lines[0], lines[0]]
    main([*words, "--json", "--images", str(tmp_path / "digits")])
    answers = json.loads(capsys.readouterr().out)
    for line, answer in zip(lines, answers, strict=True):
        shares = answer["probabilities"]
        told = f"{answer['image']},{answer['class']},{answer['probability']:.6f},{answer['note']}"
        assert line == told
        assert len(shares) == 10 and sum(shares.values()) == pytest.approx(1, abs=1e-4)
        assert str(answer["class"]) == max(shares, key=shares.get)


def test_a_net_that_was_tested_with_shifts_answers_by_their_mean(
    finished: Finished, digits: ImageData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = torch.load(finished.directory / "net.ckpt", weights_only=True)
    content["model"]["init_args"]["test_shifts"] = 1
    torch.save(content, tmp_path / "net.ckpt")
    write_pictures(digits, tmp_path / "digits", 10)
    words = ["--images", str(tmp_path / "digits"), "--output", str(tmp_path / "answers.json")]
    main(["predict", f"--ckpt_path={tmp_path / 'net.ckpt'}", *words, "--json"])
    assert "10 answers" in capsys.readouterr().err
    answer, about = load_answer(tmp_path / "net.ckpt")
    answers = json.loads((tmp_path / "answers.json").read_text())
    items = [about["preparation"].read(Path(each["image"])).values for each in answers]
    expected = answer(torch.stack(items)).amax(dim=1)
    found = torch.tensor([each["probability"] for each in answers])
    torch.testing.assert_close(found, expected.detach(), atol=1e-5, rtol=0)


@pytest.mark.filterwarnings("ignore:.* are among the training ones")
def test_names_of_classes_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(40):
        place = tmp_path / "shapes" / ("left, dark" if number % 2 else "right")
        place.mkdir(parents=True, exist_ok=True)
        image = Image.new("L", (8, 8))
        image.paste(255, (0, 0, 4, 8) if number % 2 else (4, 0, 8, 8))
        image.save(place / f"{number}.png")
    configuration = ["--config", "retrain", "--model.architecture", "DARTS_V2"]
    small = ["--model.channels=2", "--model.cells=3", "--trainer.max_epochs=1"]
    data = [f"--data.dataset={tmp_path / 'shapes'}", "--data.batch_size=8"]
    main(["fit", *configuration, *small, *data, f"--run.folder={tmp_path}", "--run.name=run"])
    said, run = capsys.readouterr().out, tmp_path / "run" / "version_0"
    assert "fewer than 20 training images of left, dark (1" in said and "uneven" not in said
    assert "balanced accuracy" in said and "left, dark" in said.split("recall", 1)[1]
    held_out = (run / "held_out.txt").read_text().splitlines()
    assert len(held_out) == 6 and all((tmp_path / "shapes" / name).is_file() for name in held_out)
    summary = json.loads((run / "summary.json").read_text())
    assert [*summary["class_recalls"]] == ["left, dark", "right"]
    assert [*summary["class_recalls"].values()] == summary["class_accuracies"]
    words = ["predict", f"--ckpt_path={run / 'net.ckpt'}"]
    main([*words, "--images", str(tmp_path / "shapes" / "right" / "0.png"), "--json"])
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["class"] in ("left, dark", "right")
    assert answer["probabilities"].keys() == {"left, dark", "right"}
    main(words)
    assert set(capsys.readouterr().out.splitlines()[-1].split(",")) & {"right", '"left'}


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no image file at"), (b"", "not a readable image"), (b"damaged", "is damaged")],
)
def test_bad_files_get_one_line(
    content: bytes | None,
    message: str,
    finished: Finished,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "digit.png"
    if content == b"damaged":
        Image.effect_noise((64, 64), 50).save(path)
        content = path.read_bytes()[:1000]
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SystemExit):
        main(["predict", f"--ckpt_path={finished.directory}/net.ckpt", "--images", str(path)])
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def test_a_bad_file_in_a_folder_is_left_out(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.png").write_text("no image")
    words = ["predict", f"--ckpt_path={finished.directory}/net.ckpt", "--images", str(tmp_path)]
    with pytest.raises(SystemExit):
        main(words)
    assert "none of these images can be read" in capsys.readouterr().err
    Image.new("L", (28, 28)).save(tmp_path / "good.png")
    main(words)
    said = capsys.readouterr()
    assert "good.png" in said.out and said.out.count("\n") == 2
    bad, empty, prepared, *_ = said.err.splitlines()
    assert prepared.startswith("Images were brought to 28 x 28 pixels, grey, figures cut out")
    assert bad.startswith("Warning: ") and "bad.png" in bad and "shows nothing" in empty


@pytest.mark.parametrize("word", ["--json", "--top=3", "--output=a.csv", "--sure=0.5"])
def test_some_words_are_for_images(
    word: str, finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["predict", f"--ckpt_path={finished.directory}/net.ckpt", word])
    assert "--json, --top, --output and --sure need --images" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "told"), [("--top=0", "at least 1"), ("--sure=1.5", "a number of 0 to 1, got '1.5'")]
)
def test_a_number_out_of_range_is_refused(
    word: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["predict", "--ckpt_path=net.ckpt", "--images=a", word])
    assert told in capsys.readouterr().err


@pytest.fixture
def sorted_digits(digits: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """30 test digits in folders named by their classes, seen from the folder that holds them."""
    digits.setup("test")
    monkeypatch.chdir(tmp_path)
    images, labels = digits.items.test_items[:30, 0], digits.items.test_labels[:30].tolist()
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        place = Path("sorted", str(label))
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.numpy()).save(place / f"{number}.png")
    return [str(path) for path in sorted(Path("sorted").rglob("*.png"))]


def test_the_likeliest_classes_go_to_a_file_that_spreadsheets_only_read(
    finished: Finished, sorted_digits: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path(sorted_digits[0]).rename("=1+1.png")
    words = ["predict", f"--ckpt_path={finished.directory / 'net.ckpt'}", "--top", "3"]
    images = ["--sure", "1", "--images", "=1+1.png", *sorted_digits[1:]]
    main([*words, "--output", "answers.csv", *images])
    said = capsys.readouterr()
    assert not said.out and "answers.csv: 30 answers" in said.err
    with Path("answers.csv").open(newline="") as file:
        rows = [*csv.DictReader(file)]
    assert rows[0]["image"] == "./=1+1.png" and len(rows) == 30
    main([*words, "--json", *images])
    for row, answer in zip(rows, json.loads(capsys.readouterr().out), strict=True):
        told = [(row[f"class{n}"], float(row[f"probability{n}"])) for n in ("", "_2", "_3")]
        assert told == [(str(each["class"]), each["probability"]) for each in answer["top"]]
        shares = sorted(answer["probabilities"].values(), reverse=True)
        assert [share for _, share in told] == shares[:3]
        assert all(answer["probabilities"][name] == share for name, share in told)
        assert row["note"].split()[0] == "unsure"


def test_the_answers_replace_no_image(
    finished: Finished, sorted_digits: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = Path(sorted_digits[0]).read_bytes()
    words = ["predict", f"--ckpt_path={finished.directory / 'net.ckpt'}", "--images", "sorted"]
    with pytest.raises(SystemExit):
        main([*words, "--output", sorted_digits[0]])
    assert "one of what is read; give another name" in capsys.readouterr().err
    assert Path(sorted_digits[0]).read_bytes() == before


@pytest.mark.parametrize("name", ["net.ckpt", "summary.json"])
def test_the_answers_replace_no_file_but_answers(
    name: str, finished: Finished, sorted_digits: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = (path := finished.directory / name).read_bytes()
    words = ["predict", f"--ckpt_path={finished.directory / 'net.ckpt'}", "--images", "sorted"]
    kind = ["--json"] if name.endswith(".json") else []
    with pytest.raises(SystemExit):
        main([*words, *kind, f"--output={path}"])
    assert f"{name} exists and holds no answers; give another name" in capsys.readouterr().err
    assert path.read_bytes() == before
    for _ in range(2):  # answers may be replaced
        main([*words, *kind, f"--output=again{path.suffix.replace('.ckpt', '.csv')}"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["--output=a.csv", "--json"],
            "a.csv would hold JSON; give another name, or leave out --j",
        ),
        (["--output=a.json"], "a.json would hold a table; give another name, or add --json"),
    ],
)
def test_an_ending_tells_what_is_in_the_file(
    words: list[str],
    told: str,
    finished: Finished,
    sorted_digits: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = ["predict", f"--ckpt_path={finished.directory}/net.ckpt", "--images", "sorted", *words]
    with pytest.raises(SystemExit):
        main(given)
    assert told in capsys.readouterr().err and not [*Path.cwd().glob("a.*")]


def test_folders_named_by_classes_tell_how_many_are_right(
    finished: Finished, sorted_digits: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Image.open(sorted_digits[0]).save("elsewhere.png")
    words = ["predict", f"--ckpt_path={finished.directory / 'net.ckpt'}", "--json"]
    main([*words, "--images", "sorted", "elsewhere.png"])
    said = capsys.readouterr()
    answers = json.loads(said.out)[:-1]
    right = [Path(each["image"]).parent.name == str(each["class"]) for each in answers]
    assert f"Accuracy: {100 * sum(right) / 30:.2f} % of the 30 of 31 images" in said.err
    recalls: dict[str, list[bool]] = {}
    for path, hit in zip(sorted_digits, right, strict=True):
        recalls.setdefault(Path(path).parent.name, []).append(hit)
    means = [sum(hits) / len(hits) for hits in recalls.values()]
    assert f"balanced {100 * sum(means) / len(means):.2f} %" in said.err
    assert "\nRecall: 0 " in said.err


def test_folders_inside_of_a_class_count_as_in_training(
    finished: Finished, sorted_digits: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    deep = Path("sorted", "3", "nested", "deep")
    deep.mkdir(parents=True)
    image = Image.open(sorted_digits[0])
    image.save(deep / "n.png")
    words = ["predict", f"--ckpt_path={finished.directory / 'net.ckpt'}", "--images"]
    for places in (["sorted"], ["sorted", "sorted"], ["sorted", "sorted/3", str(Path.cwd())]):
        main([*words, *places])
        said = capsys.readouterr()
        assert said.out.count("\n") == 32 and " % of the 31 of 31 images" in said.err
    main([*words, "sorted/3/nested"])
    assert "Accuracy" not in capsys.readouterr().err  # nothing tells that these are of class 3


def test_the_folder_that_names_a_class() -> None:
    def find(image: str, *places: str) -> str | None:
        return find_class(Path(image), [*map(Path, places)], ["cat", "dog"])

    assert find("photos/cat/deep/1.png", "photos") == find("cat/1.png", ".") == "cat"
    assert find("photos/cat/dog/1.png", "photos") == "cat"
    assert find("photos/train/dog/1.png", "photos", "photos/train") == "dog"
    assert find("cat/1.png", "cat") == find("cat/deep/1.png", "cat") == "cat"
    assert find("cat/dog/1.png", "cat") == "dog"  # a data set may be called as one of its classes
    assert find("cat/1.png", "cat/1.png") == "cat"
    assert find("cat/photos/1.png", "cat/photos") is None


def test_unsure_answers_and_unlike_images_are_marked(
    finished: Finished, sorted_digits: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    net, about = load_answer(finished.directory / "net.ckpt")
    paths = [*map(Path, sorted_digits)]
    for each in predict_files(net, about, paths, sure=0.5):
        assert each["note"] == ("unsure" if each["probability"] < 0.5 else "")
    known = Familiarity.read(Checkpoint.read(finished.directory / "net.ckpt"))
    assert known is not None
    for limit, note in ((2.0, ""), (-1.0, "unlike")):
        limited = Familiarity(known.references, limit)
        answers = predict_files(net, about, paths, known=limited, sure=0.0)
        assert {each["note"] for each in answers} == {note}
    main(
        ["predict", f"--ckpt_path={finished.directory}/net.ckpt", "--sure=1", "--images", "sorted"]
    )
    said = capsys.readouterr().err
    (named, *_) = [line for line in summarise(answers, [], 0.0) if "unlike" in line]
    assert named == ("Marked as unlike: 30 of 30 images (they differ from those of its training)")
    assert "Marked as unsure: 30 of 30 images (a probability below 1)" in said
