"""TensorBoard shows a search."""

from pathlib import Path

from lightning.pytorch.loggers import TensorBoardLogger
from run_helpers import SMALL, quiet_trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from darts_lite.data.images.image_data import ImageData
from darts_lite.runs.callbacks.architecture_board import ArchitectureBoard
from darts_lite.search.architecture_search import ArchitectureSearch


def test_the_board_shows_shares_cells_and_genotype_of_every_epoch(
    digits: ImageData, tmp_path: Path
) -> None:
    logger = TensorBoardLogger(tmp_path, "board", default_hp_metric=False)
    run = quiet_trainer(
        logger=logger, callbacks=[ArchitectureBoard()], max_epochs=2, limit_train_batches=2
    )
    search = ArchitectureSearch(SMALL)
    run.fit(search, datamodule=digits)
    events = EventAccumulator(logger.log_dir, size_guidance={"tensors": 0}).Reload()
    images = events.Tags()["images"]
    assert set(images) == {
        "architecture/cells",
        "architecture/shares_normal",
        "architecture/shares_reduce",
    }
    for tag in images:
        assert [event.step for event in events.Images(tag)] == [0, 2, 4]
    texts = events.Tensors("architecture/genotype/text_summary")
    assert search.derive().genotype() in texts[-1].tensor_proto.string_val[0].decode()
    scalars = set(events.Tags()["scalars"])
    for split in ("weights", "alphas"):
        for value in ("loss", "accuracy", "learning_rate"):
            assert f"search/{split}_{value}" in scalars
    assert {"alphas/entropy", "alphas/skip_share", "alphas/median_top2_margin"} <= scalars
    steps = [event.step for event in events.Scalars("alphas/drift")]
    assert len(steps) > len(set(steps)) or len(steps) > 2  # also between validations
