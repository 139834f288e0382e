"""Training: networks that learn, export and agree with the scorer; bundles that come out whole."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline import Gender, train
from pipeline.bundles.bundle import read_bundle
from pipeline.bundles.identities import FittedOn, Learner
from pipeline.bundles.load import load_models
from pipeline.bundles.models import HeadParams, Models, read_head_params
from pipeline.cli import main
from pipeline.cli.calibrate import store
from pipeline.cli.train import plot_history
from pipeline.datasets.data import LabelledFace
from pipeline.datasets.embeddings import Dataset
from pipeline.datasets.tables import Labels
from pipeline.errors import DataError
from pipeline.faces.networks import LiteRtNetwork
from pipeline.fitting.calibration import Calibration
from pipeline.fitting.fit import FEMALE, MALE, FaceTable, FitSettings
from pipeline.score import Scorer, Thresholds, Tower
from pipeline.training.data.augment import embed_copies
from pipeline.training.data.cleaning import mislabelled, with_aliases_merged
from pipeline.training.data.faces import KeptOut, forget_photos, select_faces
from pipeline.training.data.pairs import Pairs
from pipeline.training.networks.backbones import (
    BackboneName,
    build_backbone,
    precomputed,
    split_backbone,
    unfreeze_last_blocks,
)
from pipeline.training.networks.learning import Schedule, batches, run_epoch, seed_everything
from pipeline.training.networks.projection import guarded_thresholds, inherits, train_head
from pipeline.training.networks.siamese import LossName, SiameseSettings, build_siamese
from pipeline.training.recipe import Mode, Recipe, TrainingFaces
from pipeline.training.train import Trainer
from pipeline.verify import verify
from pipeline.weights.export import to_tflite
from support.bundle import ROOT
from support.portraits import BIDEN, CAT, GROUP, OBAMA
from support.system import LONG

SLOW = pytest.mark.slow
DIMENSIONS = {"facenet": 512, "sface": 128, "mobilefacenet": 192}
QUICK = Recipe(schedule=Schedule(epochs=2, batch=64), hold_out=0.25)


@pytest.fixture(scope="module")
def models(bundle_dir: Path) -> Models:
    return load_models(bundle_dir)


@pytest.fixture(scope="module")
def params(bundle_dir: Path) -> HeadParams:
    bundle = read_bundle(bundle_dir)
    return read_head_params(bundle.head)


def unit(rows: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / lengths, dtype=np.float32)


def crowd(people: int = 60, photos: int = 5, *, nuisance: float = 0.0) -> TrainingFaces:
    """Invented embeddings; ``nuisance`` is how much each photo's light says in ten directions."""
    rng = np.random.default_rng(1)
    identity = np.repeat(np.arange(people), photos)
    embeddings = {}
    for name, size in DIMENSIONS.items():
        rows = rng.normal(size=(people, size))[identity] + rng.normal(size=(len(identity), size))
        rows[:, :10] += nuisance * rng.normal(size=(len(identity), 10))
        embeddings[name] = unit(rows)
    gender = np.where(identity % 2 == 0, MALE, FEMALE)
    kind, weight = np.zeros(len(identity), bool), np.ones(len(identity))
    return TrainingFaces(FaceTable(embeddings, identity, gender, kind, weight), np.full(len(identity), -1))


def lfw_people(faces: Path, count: int, photos: int = 3) -> list[LabelledFace]:
    """People with several photos in which nobody else stands."""
    folders = [folder for folder in sorted((faces / "lfw").iterdir()) if len([*folder.iterdir()]) >= photos]
    return [
        LabelledFace(str(path.relative_to(faces)), folder.name, Gender.MALE if i % 2 else Gender.FEMALE)
        for i, folder in enumerate(folders[:count])
        for path in sorted(folder.iterdir())[:photos]
    ]


# The network.


@pytest.mark.parametrize(
    "name",
    [
        BackboneName.OWN_CNN,
        pytest.param(BackboneName.VGG19, marks=LONG),
        pytest.param(BackboneName.FACENET, marks=LONG),
    ],
)
def test_every_backbone_learns_and_keras_litert_and_scorer_agree(name: BackboneName, tmp_path: Path) -> None:
    if name is BackboneName.FACENET:
        subprocess.run([sys.executable, "-m", "worker.fetch_weights"], cwd=ROOT, check=True)
    seed_everything(1)
    backbone = build_backbone(name, None)
    unfreeze_last_blocks(backbone, name)
    crops = np.random.default_rng(2).uniform(-1, 1, (4, 160, 160, 3)).astype(np.float32)
    labels = Labels(np.array([0, 0, 1, 1]), np.array([MALE, MALE, FEMALE, -1]), np.full(4, -1))
    pairs = Pairs(np.array([0, 3]), np.array([1, 0]), np.array([1, 0]))
    # setting up a large network for one more loss takes a minute, and the loss knows nothing of it
    losses = [*LossName] if name is BackboneName.OWN_CNN else [LossName.CONTRASTIVE]
    networks = [build_siamese(backbone, 16, SiameseSettings(loss)) for loss in losses]
    for siamese in networks:
        before = [np.array(weight) for weight in backbone.trainable_variables]
        assert np.isfinite(run_epoch(siamese, batches(pairs, labels, 2, lambda rows, _side: crops[rows])))
        after = [np.array(weight) for weight in backbone.trainable_variables]
        assert any(not np.array_equal(one, other) for one, other in zip(before, after, strict=True))
    path = tmp_path / "tower.tflite"
    path.write_bytes(to_tflite(backbone))
    features = LiteRtNetwork(path).run(crops)
    assert np.linalg.norm(features, axis=1) == pytest.approx(np.ones(4), abs=1e-4)
    thresholds = Thresholds(approve=0.4, different=0.2, scale=9.0)
    siamese = networks[-1]
    siamese.similarity.threshold.assign(thresholds.approve)
    siamese.similarity.scale.assign(thresholds.scale)
    scorer = Scorer({"one": siamese.tower(1.0)}, thresholds)
    same, gender = (np.asarray(answer) for answer in siamese.model([crops[:2], crops[2:]], training=False))
    for row in range(2):
        mine, theirs = (scorer.project({"one": features[i : i + 1]}) for i in (row, row + 2))
        assert float(same[row, 0]) == pytest.approx(scorer.compare(mine, theirs).similarity, abs=2e-4)
    assert ((gender > 0) & (gender < 1)).all()


def test_the_blocks_that_stay_and_those_that_learn_make_up_the_backbone() -> None:
    backbone = build_backbone(BackboneName.VGG19, None, side=32)
    unfreeze_last_blocks(backbone, BackboneName.VGG19)
    frozen, learning = split_backbone(backbone, BackboneName.VGG19)
    crops = np.random.default_rng(1).uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)
    assert np.allclose(learning(frozen(crops)), backbone(crops), atol=1e-5)
    assert not frozen.trainable_variables
    assert len(learning.trainable_variables) == 2 * 4


def test_a_saved_siamese_network_opens_again_without_custom_code_and_without_lambdas(tmp_path: Path) -> None:
    import keras

    siamese = build_siamese(precomputed(8), 4, SiameseSettings())
    siamese.model.save(tmp_path / "siamese.keras")
    again = keras.saving.load_model(tmp_path / "siamese.keras")
    faces = unit(np.random.default_rng(1).normal(size=(3, 8)))
    for one, other in zip(siamese.model([faces, faces[::-1]]), again([faces, faces[::-1]]), strict=True):
        assert np.allclose(one, other)
    assert not [layer for layer in again.layers if isinstance(layer, keras.layers.Lambda)]


def test_an_impostor_beyond_the_margin_and_a_genuine_pair_at_no_distance_cost_nothing() -> None:
    from pipeline.training.networks.siamese import ContrastiveLoss

    loss = ContrastiveLoss(margin=1.2)
    assert float(loss(np.array([[1], [0]]), np.array([[0.0], [1.3]], np.float32))) == 0
    assert float(loss(np.array([[1]]), np.array([[0.5]], np.float32))) == pytest.approx(0.25)
    assert float(loss(np.array([[0]]), np.array([[0.2]], np.float32))) == pytest.approx(1.0)


# The head.


@LONG
def test_the_same_seed_gives_the_same_head_and_another_seed_another(params: HeadParams) -> None:
    faces = crowd(nuisance=10.0)
    seeds = [replace(QUICK, schedule=replace(QUICK.schedule, seed=seed)) for seed in (1, 1, 2)]
    one, again, other = (train_head(faces, params, recipe) for recipe in seeds)
    projections = [head.params.scorer.towers["facenet"].projection for head in (one, again, other)]
    assert np.array_equal(projections[0], projections[1])
    assert one.params.scorer.thresholds == again.params.scorer.thresholds
    assert one.history == again.history
    assert not np.array_equal(projections[0], projections[2])


@pytest.mark.parametrize("loss", list(LossName))
def test_training_tells_people_apart_that_the_start_confused(params: HeadParams, loss: LossName) -> None:
    faces = crowd(nuisance=10.0)
    recipe = replace(QUICK, siamese=SiameseSettings(loss, pull=0.0), schedule=Schedule(epochs=8, batch=64))
    history = train_head(faces, params, recipe).history
    assert history.held_out[history.best] > history.held_out[0] + 0.1
    assert history.loss[-1] < history.loss[0]


def test_copies_are_trained_on_and_nobody_is_validated_by_them(params: HeadParams) -> None:
    faces = crowd(nuisance=10.0)
    own = faces.table.embeddings["facenet"]
    plain, none, copied = (
        train_head(faces, params, QUICK, copies=copies) for copies in (None, own[None][:0], own[None, ::-1])
    )
    assert plain.history == none.history
    assert copied.history.loss != plain.history.loss
    assert copied.history.held_out[0] == plain.history.held_out[0]


def test_a_start_that_training_cannot_better_is_kept(params: HeadParams) -> None:
    ruined = replace(QUICK, siamese=SiameseSettings(learning_rate=10.0, pull=0.0))
    trained = train_head(crowd(), params, ruined)
    assert trained.history.best == 0
    start, end = (j.scorer.towers["facenet"].projection for j in (params, trained.params))
    assert np.array_equal(start, end)


def test_where_training_is_to_be_seen_the_start_is_not_kept_however_much_better_it_was(
    params: HeadParams,
) -> None:
    schedule = replace(QUICK.schedule, may_keep_start=False)
    ruined = replace(QUICK, siamese=SiameseSettings(learning_rate=10.0, pull=0.0), schedule=schedule)
    assert train_head(crowd(), params, ruined).history.best > 0


def test_a_few_pairs_may_raise_the_approve_threshold_but_not_lower_it() -> None:
    rng = np.random.default_rng(1)
    genuine, few, many = rng.normal(0.8, 0.1, 100), rng.normal(0.1, 0.1, 500), rng.normal(0.1, 0.1, 4000)
    strict, lax = Thresholds(0.9, 0.3, 20.0), Thresholds(0.1, 0.0, 20.0)
    settings = FitSettings()
    assert guarded_thresholds(genuine, few, few, strict, settings).approve == strict.approve
    assert guarded_thresholds(genuine, few, few, lax, settings).approve > 0.3
    assert guarded_thresholds(genuine, many, many[:0], strict, settings).approve == strict.approve
    assert guarded_thresholds(genuine, many, many, strict, settings).approve < 0.6


def test_people_of_one_gender_alone_leave_the_gender_head_as_it_was(params: HeadParams) -> None:
    faces = crowd()
    men = replace(faces, table=replace(faces.table, gender=np.full(len(faces.age), MALE)))
    assert train_head(men, params, QUICK).params.gender is params.gender


def test_people_with_one_photo_each_cannot_be_learned_from(params: HeadParams) -> None:
    with pytest.raises(DataError, match="two photos"):
        train_head(crowd(photos=1), params, QUICK)


def test_a_head_that_learned_everything_anew_inherits_nothing(params: HeadParams) -> None:
    anew = replace(
        params,
        gender=replace(params.gender, bias=0.0),
        scorer=replace(params.scorer, thresholds=replace(params.scorer.thresholds, approve=0.6)),
    )
    many, few = crowd(people=400).table, crowd(people=4).table
    assert not inherits(params, anew, many)
    assert inherits(params, anew, few)
    assert inherits(params, replace(anew, gender=params.gender), many)
    assert inherits(params, replace(anew, scorer=params.scorer), many)


# The labels.


def plain(embeddings: np.ndarray, identity: list[int]) -> tuple[FaceTable, Scorer]:
    count = len(identity)
    table = FaceTable(
        {"one": unit(embeddings)},
        np.array(identity),
        np.ones(count, int),
        np.zeros(count, bool),
        np.ones(count),
    )
    tower = Tower(
        np.zeros(embeddings.shape[1], np.float32), np.eye(embeddings.shape[1], dtype=np.float32), 1.0
    )
    return table, Scorer({"one": tower}, Thresholds(approve=0.7, different=0.3, scale=10.0))


def test_a_photo_under_a_wrong_name_is_found_by_whom_it_looks_like() -> None:
    one, other = np.eye(4)[0], np.eye(4)[1]
    noise = 0.1 * np.random.default_rng(1).normal(size=(6, 4))
    table, scorer = plain(np.array([one, one, other, other, other, other]) + noise, [0, 0, 0, 1, 1, 1])
    assert mislabelled(table, scorer).tolist() == [False, False, True, False, False, False]


def test_an_unlike_photo_that_looks_like_nobody_else_is_kept_for_training() -> None:
    table, scorer = plain(np.array([[1, 0, 0], [1, 0.1, 0], [0, 0, 1], [0, 1, 0]]), [0, 0, 0, 1])
    assert not mislabelled(table, scorer).any()


def test_two_names_with_one_picture_are_made_one_person(params: HeadParams) -> None:
    faces = crowd(people=4).table
    for rows in faces.embeddings.values():
        rows[0] = rows[6]
    merged, names = with_aliases_merged(faces, replace(params, replay=replace(params.replay, score=1.05)))
    assert names == 1
    assert merged.identity.tolist() == [0] * 10 + [2] * 5 + [3] * 5


# The photos.


def test_photos_that_teach_the_wrong_thing_are_kept_out_each_with_its_reason(
    models: Models, portraits: Path, tmp_path: Path
) -> None:
    files = [CAT, "nowhere.jpg", GROUP, *OBAMA, BIDEN]
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    given = [LabelledFace(file, file, Gender.UNKNOWN) for file in [*files, str(tmp_path / "broken.jpg")]]
    selection = select_faces(models, portraits, given, tmp_path / "cache")
    reasons = {one.face.file: one.check.reason for one in selection.kept_out}
    assert reasons == {
        CAT: KeptOut.NO_FACE,
        "nowhere.jpg": KeptOut.MISSING_FILE,
        GROUP: KeptOut.SEVERAL_FACES,
        str(tmp_path / "broken.jpg"): KeptOut.INVALID_IMAGE,
    }
    assert [face.file for face in selection.kept] == [*OBAMA, BIDEN]
    selection.write_report(tmp_path / "report.csv")
    assert len((tmp_path / "report.csv").read_text().splitlines()) == len(selection.kept_out) + 1
    assert select_faces(models, portraits, given, tmp_path / "cache") == selection


def test_a_photo_can_be_taken_out_of_the_cache(
    models: Models, bundle_dir: Path, portraits: Path, tmp_path: Path
) -> None:
    given = [LabelledFace(file, "Obama", Gender.MALE) for file in OBAMA[:2]]
    select_faces(models, portraits, given, tmp_path)
    Dataset(models, bundle_dir, portraits, tmp_path).embed([face.file for face in given])
    photo = portraits / given[0].file
    digest = hashlib.sha256(photo.read_bytes()).hexdigest()
    said = CliRunner().invoke(main, ["forget-photos", "--cache", str(tmp_path), str(photo)])
    assert "2 entries of 1 photos removed" in said.output
    assert not [path for path in tmp_path.rglob("*") if digest in path.name]
    assert all(digest not in np.load(path)["sha256"] for path in tmp_path.glob("*.npz"))
    assert forget_photos(tmp_path, [digest]) == 0


def test_a_copy_depends_on_the_photo_alone_and_is_forgotten_with_it(
    models: Models, bundle_dir: Path, portraits: Path, tmp_path: Path
) -> None:
    files = OBAMA[:2]
    copies = embed_copies(Dataset(models, bundle_dir, portraits, tmp_path), files, "facenet", 2, seed=1)
    assert copies.shape == (2, 2, 512)
    assert 0.2 < float(copies[0, 0] @ copies[1, 0]) < 0.999
    alone = embed_copies(Dataset(models, bundle_dir, portraits), files[1:], "facenet", 1, seed=1)
    assert np.allclose(alone[0, 0], copies[0, 1], atol=1e-5)
    digest = hashlib.sha256((portraits / files[0]).read_bytes()).hexdigest()
    assert forget_photos(tmp_path, [digest]) == 3  # its surroundings and two vectors
    assert all(digest not in np.load(path)["sha256"] for path in tmp_path.glob("*.npz"))


# The bundle.


def test_train_makes_a_whole_bundle_of_photos_and_genders_that_judges_at_once(
    bundle_dir: Path, faces: Path, tmp_path: Path
) -> None:
    people = lfw_people(faces, 12)
    images: dict[str, list[bytes]] = {}
    for face in people:
        images.setdefault(face.identity, []).append((faces / face.file).read_bytes())
    genders = {face.identity: face.gender for face in people}
    made = train(images, genders, out=tmp_path / "trained", bundle=bundle_dir)
    assert made.manifest.version.startswith("trained-")
    assert made.head.metadata["calibration"] == "uncalibrated"
    assert not [name for name in images if name in (tmp_path / "trained" / "manifest.json").read_text()]
    learned_from = made.head.fitted_on
    assert learned_from.known([*images, "a stranger"], [Learner.HEAD]) == set(images)
    assert learned_from.known(images, [Learner.NETWORKS]) == set()
    assert made.head.metadata["training"]["labels"]["wrong_identity"] == 0
    selfie, photo, *_ = images[people[0].identity]
    verdict = verify(load_models(tmp_path / "trained"), selfie, [photo])
    assert verdict.model_version == made.manifest.version
    assert verdict.photos[0].comparison is not None


@SLOW
def test_a_fine_tuned_backbone_comes_as_a_network_of_the_bundle(
    models: Models, bundle_dir: Path, faces: Path, tmp_path: Path
) -> None:
    recipe = replace(
        QUICK, mode=Mode.FINETUNE, backbone=BackboneName.OWN_CNN, schedule=Schedule(epochs=1, batch=8)
    )
    trainer = Trainer(Dataset(models, bundle_dir, faces), recipe)
    people = lfw_people(faces, 6, photos=2)
    training = trainer.train(people, tmp_path / "tuned")
    kept = {face.identity for face in training.selection.kept}
    assert training.bundle.head.fitted_on.known({f.identity for f in people}, [Learner.NETWORKS]) == kept
    assert {"own_cnn", "sface"} <= set(training.bundle.manifest.parts)
    assert "facenet" not in training.bundle.manifest.parts
    photo = (faces / training.selection.kept[0].file).read_bytes()
    comparison = verify(load_models(tmp_path / "tuned"), photo, [photo]).photos[0].comparison
    assert comparison is not None
    assert set(comparison.cosines) == {"own_cnn", *models.params.scorer.towers} - {"facenet"}
    plot_history(training.history, tmp_path / "history.png")
    assert (tmp_path / "history.png").read_bytes().startswith(b"\x89PNG")


def test_a_calibrated_bundle_judges_by_the_new_thresholds_and_says_so(
    bundle_dir: Path, tmp_path: Path
) -> None:
    thresholds = Thresholds(approve=0.61, different=0.22, scale=18.0)
    result = Calibration(
        thresholds, (0.6, 0.63), (0.2, 0.25), genuine=300, impostors=12_000, people=300, warnings=()
    )
    people = FittedOn.people(["who was calibrated on"])
    version = store(read_bundle(bundle_dir), result, 0.001, tmp_path / "calibrated", people)
    models = load_models(tmp_path / "calibrated")
    assert models.calibrated
    assert models.version == version != load_models(bundle_dir).version
    assert models.params.scorer.thresholds == thresholds
    head = read_bundle(tmp_path / "calibrated").head
    assert head.metadata["calibrated_on"]["impostors"] == 12_000
    assert head.fitted_on.known(["who was calibrated on", "nobody"], Learner) == {"who was calibrated on"}
