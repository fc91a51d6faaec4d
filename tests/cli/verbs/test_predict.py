"""What a net says of image files of any kind."""

import json
from pathlib import Path

import pytest
from pictures import write_pictures
from PIL import Image
from run_helpers import Finished

from darts_lite.cli.main import main
from darts_lite.data.image_data import ImageData


def test_the_command_prints_lines_or_json(
    finished: Finished, digits: ImageData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(digits, tmp_path / "digits", 10)
    words = ["predict", f"--ckpt_path={finished.directory / 'net.ckpt'}"]
    main([*words, "--images", str(tmp_path / "digits")])
    header, *lines = capsys.readouterr().out.splitlines()
    assert header == "image,class,probability" and len(lines) == 10
    main([*words, "--images", *2 * [lines[0].split(",")[0]]])
    assert capsys.readouterr().out.splitlines() == [header, lines[0], lines[0]]
    main([*words, "--json", "--images", str(tmp_path / "digits")])
    answers = json.loads(capsys.readouterr().out)
    for line, answer in zip(lines, answers, strict=True):
        shares = answer["probabilities"]
        assert line == f"{answer['image']},{answer['class']},{answer['probability']:.6f}"
        assert len(shares) == 10 and sum(shares.values()) == pytest.approx(1, abs=1e-4)
        assert str(answer["class"]) == max(shares, key=shares.get)


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
    capsys.readouterr()
    words = ["predict", f"--ckpt_path={tmp_path / 'run' / 'version_0' / 'net.ckpt'}"]
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
    bad, empty, prepared = said.err.splitlines()
    assert prepared.startswith("Images were brought to 28 x 28 pixels, grey, figures cut out")
    assert bad.startswith("Warning: ") and "bad.png" in bad and "shows nothing" in empty


def test_json_is_for_images(finished: Finished, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["predict", f"--ckpt_path={finished.directory}/net.ckpt", "--json"])
    assert "--json needs --images" in capsys.readouterr().err
