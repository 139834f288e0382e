"""Train a whole bundle from labelled photos, for the commands and the API."""

from __future__ import annotations

import datetime as dt
import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.bundles.bundle import Bundle, NetworkFile, Origin, read_bundle, write_bundle
from pipeline.bundles.head import UNCALIBRATED
from pipeline.bundles.identities import FittedOn, Learner
from pipeline.bundles.load import load_models
from pipeline.bundles.models import HeadParams, compose
from pipeline.datasets.data import LabelledFace, first_age
from pipeline.datasets.embeddings import Dataset
from pipeline.datasets.tables import NO_AGE, PersonCodes, added_faces, face_table, for_gender_head
from pipeline.errors import DataError
from pipeline.faces.embedder import new_embedder
from pipeline.fitting.first_stage import fit_first_stage
from pipeline.fitting.fit import FaceTable, fit_gender, fit_towers, replay_limits
from pipeline.promotion.label_checks import LabelFigures, label_figures
from pipeline.score import Scorer
from pipeline.training.data.augment import embed_copies
from pipeline.training.data.cleaning import mislabelled, with_aliases_merged
from pipeline.training.data.faces import Selection, select_faces
from pipeline.training.data.windows import read_windows
from pipeline.training.networks.finetune import FineTuned, finetune
from pipeline.training.networks.learning import History
from pipeline.training.networks.projection import (
    TrainedHead,
    all_scores,
    gender_head,
    guarded_thresholds,
    inherited,
    train_head,
    with_tower,
)
from pipeline.training.recipe import Mode, Recipe, TrainingFaces


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """A finished training: the new bundle, the photos that were kept out, and the history.

    ``labels`` are the label figures by the earlier bundle, wrong labels included; the gate takes them.
    """

    bundle: Bundle
    selection: Selection
    labels: LabelFigures
    merged_names: int
    history: History


@dataclass(frozen=True, slots=True, eq=False)
class Trainer:
    """Trains on photos below ``dataset.root``, starting from the dataset's bundle."""

    dataset: Dataset
    recipe: Recipe
    name: str = "trained"
    identity_key: bytes = b""
    """The key for hashes of people in the manifest; without one, anybody can check a name there."""

    def train(
        self, faces: Sequence[LabelledFace], out: Path, genders: Sequence[LabelledFace] = ()
    ) -> Training:
        """Write a whole bundle to ``out``. ``genders`` are for the gender head alone.

        Raises DataError where too little is left to train on, ModelError for missing weights.
        """
        selection, training, merged, labels = self._gather(faces)
        base = read_bundle(self.dataset.bundle)
        if self.recipe.mode is Mode.HEAD:
            head = self._train_head(selection, training, genders)
            params, history, network = head.params, head.history, None
        else:
            params, history, network = self._finetune(selection, training, base, genders)
        facts = self._facts(base, selection, training, history)
        facts["training"]["labels"] = asdict(labels)
        earlier = inherited(base.head, self.dataset.models.params, params, training.table)
        people = earlier.joined(self._people(selection, genders))
        bundle = write(base, params, facts, out, people=people, network=network)
        return Training(bundle, selection, labels, merged, history)

    def _gather(self, faces: Sequence[LabelledFace]) -> tuple[Selection, TrainingFaces, int, LabelFigures]:
        """The faces that may be trained on, embedded, with wrong labels removed and names merged."""
        models = self.dataset.models
        selection = select_faces(models, self.dataset.root, faces, self.dataset.cache)
        if not selection.kept:
            raise DataError(f"no photo can be learned from: {selection.counts()}")
        table = _table(self.dataset, selection.kept)
        labels = label_figures(table, models.params)
        wrong = mislabelled(table, models.params.scorer)
        selection = selection.without(f.file for f, bad in zip(selection.kept, wrong, strict=True) if bad)
        table, merged = with_aliases_merged(table.only(~wrong), models.params)
        ages = [first_age(face.age) for face in selection.kept]
        age = np.array([NO_AGE if known is None else known for known in ages], dtype=np.int64)
        return selection, TrainingFaces(table, age), merged, labels

    def _train_head(
        self, selection: Selection, faces: TrainingFaces, genders: Sequence[LabelledFace]
    ) -> TrainedHead:
        dataset, recipe = self.dataset, self.recipe
        files = [face.file for face in selection.kept]
        copies = embed_copies(dataset, files, recipe.tower, recipe.copies, recipe.schedule.seed)
        return train_head(faces, dataset.models.params, recipe, _added(dataset, genders), copies)

    def _finetune(
        self, selection: Selection, faces: TrainingFaces, base: Bundle, genders: Sequence[LabelledFace]
    ) -> tuple[HeadParams, History, _NewNetwork]:
        """The new network, and a head fitted on its embeddings of the photos."""
        recipe, dataset = self._with_new_tower(), self.dataset
        if "facenet" not in dataset.models.embedders:
            raise DataError("the bundle has no FaceNet, so nothing says how faces are cut for a backbone")
        rule = base.head.metadata["embedders"]["facenet"]
        windows = read_windows(dataset.models, dataset.root, [f.file for f in selection.kept], dataset.cache)
        tuned = finetune(windows, faces.labels, dataset.models.embedders["facenet"].crop, recipe)
        network = _describe(recipe.tower, tuned, rule)
        with tempfile.TemporaryDirectory() as folder:
            start = _with_tower(dataset.models.params, recipe, tuned)
            interim = Path(folder) / "bundle"
            write(base, start, {"name": self.name}, interim, people=FittedOn(), network=network)
            new = replace(dataset, models=load_models(interim), bundle=interim)
            table = replace(_table(new, selection.kept), identity=faces.table.identity)
            params = _refit(table, start, _added(new, genders), recipe, tuned)
        return params, tuned.history, network

    def _people(self, selection: Selection, genders: Sequence[LabelledFace]) -> FittedOn:
        """The people of this training."""
        names = {face.identity for face in selection.kept}
        head = FittedOn.people(
            names | {face.identity for face in for_gender_head(genders)}, self.identity_key
        )
        if self.recipe.mode is Mode.HEAD:
            return head
        return head.joined(FittedOn.people(names, self.identity_key, Learner.NETWORKS))

    def _with_new_tower(self) -> Recipe:
        """The recipe in which another backbone takes FaceNet's place in the fusion."""
        fit, names = self.recipe.fit, {"facenet": self.recipe.tower}
        weights = {names.get(old, old): weight for old, weight in fit.weights.items()}
        dimensions = {names.get(old, old): size for old, size in fit.dimensions.items()}
        centred = frozenset(names.get(old, old) for old in fit.centred)
        return replace(self.recipe, fit=replace(fit, weights=weights, dimensions=dimensions, centred=centred))

    def _facts(
        self, base: Bundle, selection: Selection, faces: TrainingFaces, history: History
    ) -> dict[str, Any]:
        """The facts of the training for the manifest, without photos and names."""
        schedule, best = self.recipe.schedule, history.best
        training = {
            "faces": len(faces.table.identity),
            "people": len(np.unique(faces.table.identity)),
            "faces_of_the_users_kind": int(faces.table.users_kind.sum()),
            "kept_out": selection.counts(),
            "mode": str(self.recipe.mode),
            "backbone": self.recipe.tower,
            "loss": str(self.recipe.siamese.loss),
            "copies": self.recipe.copies,
            "seed": schedule.seed,
            "epochs": best,
            "held_out_tar": [round(history.held_out[0], 4), round(history.held_out[best], 4)],
            "started_from": base.manifest.version,
        }
        return {
            "name": self.name,
            "fitted": dt.datetime.now(dt.UTC).date().isoformat(),
            "calibration": UNCALIBRATED,
            "training": training,
        }


@dataclass(frozen=True, slots=True, eq=False)
class _NewNetwork:
    """A new network for the bundle, and its rule."""

    name: str
    file: NetworkFile
    description: Mapping[str, Any]


def write(
    base: Bundle,
    params: HeadParams,
    facts: Mapping[str, Any],
    out: Path,
    *,
    people: FittedOn,
    network: _NewNetwork | None = None,
) -> Bundle:
    """The bundle ``base`` with another head, and perhaps one other network, at ``out``."""
    described = dict(base.head.metadata["embedders"])
    networks = {name: base.network(name) for name in base.manifest.parts}
    if network:
        described[network.name], networks[network.name] = network.description, network.file
    unused = set(described) - params.dimensions.keys()
    kept = {name: part for name, part in networks.items() if part and name not in unused}
    used = {name: rule for name, rule in described.items() if name not in unused}
    write_bundle(out, compose(params, {**facts, "embedders": used}, people), kept)
    return read_bundle(out)


def _table(dataset: Dataset, faces: Sequence[LabelledFace]) -> FaceTable:
    return face_table(faces, dataset.embed([face.file for face in faces]), PersonCodes(faces))


def _added(dataset: Dataset, genders: Sequence[LabelledFace]) -> FaceTable | None:
    genders = for_gender_head(genders)
    if not genders:
        return None
    return added_faces(genders, dataset.embed([face.file for face in genders]))


def _describe(name: str, tuned: FineTuned, rule: Mapping[str, Any]) -> _NewNetwork:
    digest = hashlib.sha256(tuned.network).hexdigest()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.tflite"
        path.write_bytes(tuned.network)
        description = new_embedder(name, path, rule).describe()
    return _NewNetwork(name, NetworkFile(tuned.network, Origin(f"{name}-finetuned", digest)), description)


def _with_tower(params: HeadParams, recipe: Recipe, tuned: FineTuned) -> HeadParams:
    """The parameters with the new tower, only to load the networks with."""
    towers = {name: tower for name, tower in params.scorer.towers.items() if name in recipe.fit.weights}
    scorer = Scorer({**towers, recipe.tower: tuned.tower}, params.scorer.thresholds)
    dropped = params.scorer.towers.keys() - towers.keys()
    weights = {name: row for name, row in params.gender.weights.items() if name not in dropped}
    return replace(params, scorer=scorer, gender=replace(params.gender, weights=weights))


def _refit(
    table: FaceTable, start: HeadParams, genders: FaceTable | None, recipe: Recipe, tuned: FineTuned
) -> HeadParams:
    """The head on the new network's embeddings; thresholds by the held-out people, if they give pairs."""
    scorer = with_tower(fit_towers(table, recipe.fit), recipe, tuned.tower)
    genuine, everybody, users_kind = all_scores(scorer, table.only(tuned.held_out))
    if not len(genuine) or not len(everybody):
        genuine, everybody, users_kind = all_scores(scorer, table)
    thresholds = guarded_thresholds(genuine, everybody, users_kind, start.scorer.thresholds, recipe.fit)
    scorer = replace(scorer, thresholds=thresholds)
    gender = gender_head(table, genders, recipe.fit) or fit_gender(table, recipe.fit)
    return replace(
        start,
        scorer=scorer,
        gender=gender,
        replay=replay_limits(scorer, table),
        first_stage=fit_first_stage(scorer, table),  # the bounds of before are of other networks
    )
