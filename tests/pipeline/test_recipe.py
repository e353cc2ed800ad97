"""Recipes: what is built in, what `--set` changes, and how errors point at the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpusmill.chain import cut
from corpusmill.recipe import built_in_recipes, describe, fingerprint, load_recipe, recipe_from, recipe_table
from corpusmill.schemas import RecipeError
from corpusmill.stages import Deduplicate, Tokenize


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "my.toml"
    path.write_text(text)
    return str(path)


def test_the_published_recipes_are_built_in_and_load() -> None:
    assert set(built_in_recipes()) == {"web", "minimal", "gopher", "c4", "fineweb"}
    for name in built_in_recipes():
        recipe = load_recipe(name)
        assert recipe.description
        assert isinstance(recipe.stages[-1], Tokenize)
        assert name in {"web", "minimal"} or recipe.source


def test_web_is_in_the_order_of_the_mission() -> None:
    kinds = [stage.kind for stage in load_recipe("web").stages]
    mission = [
        "strip_html",
        "normalize_text",
        "convert_emoji",
        "filter_language",
        "filter_toxicity",
        "deduplicate",
        "tokenize",
    ]
    assert [kind for kind in kinds if kind in mission] == mission


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[[stage]]\nkind = "strip_htlm"',
            r"my.toml: stage 1: unknown stage 'strip_htlm'; did you mean 'strip_html'\?",
        ),
        (
            '[[stage]]\nkind = "deduplicate"\ntreshold = 1',
            r"my.toml: stage 1 \(deduplicate\): unknown setting 'treshold'; did you mean 'threshold'\?",
        ),
        (
            '[[stage]]\nkind = "deduplicate"\nthreshold = 2',
            r"my.toml: stage 1 \(deduplicate\): threshold: Expected `float` <= 1.0",
        ),
        (
            '[[stage]]\nkind = "deduplicate"\nthreshold = "x"',
            r"my.toml: stage 1 \(deduplicate\): threshold: Expected `float`, got `str`",
        ),
        ("[[stage]]\nthreshold = 1", r"my.toml: stage 1: the stage has no `kind`"),
        ('[[stages]]\nkind = "tokenize"', r"my.toml: unknown key 'stages'; did you mean 'stage'\?"),
        (
            '[input]\ntextkey = "x"\n[[stage]]\nkind = "tokenize"',
            r"my.toml: \[input\]: unknown setting 'textkey'; did you mean 'text_key'\?",
        ),
        (
            '[output]\nvalidation_share = 1.5\n[[stage]]\nkind = "tokenize"',
            r"my.toml: \[output\]: validation_share: Expected `float` < 1.0",
        ),
        ('seed = "x"\n[[stage]]\nkind = "tokenize"', r"my.toml: seed: expected int, got str"),
        ("seed = ", r"my.toml: not valid TOML"),
        ("", r"my.toml: a recipe needs at least one \[\[stage\]\] table"),
    ],
)
def test_errors_name_the_file_the_stage_and_the_setting(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(write(tmp_path, text))


def test_an_unknown_recipe_suggests_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"there is no recipe 'finweb'; did you mean 'fineweb'\?"):
        load_recipe("finweb")


def test_set_changes_one_setting() -> None:
    recipe = load_recipe(
        "web",
        [
            "deduplicate.threshold=0.7",
            'filter_language.keep=["en"]',
            "output.text=true",
            "seed=4",
            "input.text_key=body",
        ],
    )
    (stage,) = [stage for stage in recipe.stages if isinstance(stage, Deduplicate)]
    assert stage.threshold == 0.7
    assert (recipe.output.text, recipe.seed, recipe.input.text_key) == (True, 4, "body")


def test_set_reaches_the_second_stage_of_a_kind(tmp_path: Path) -> None:
    path = write(tmp_path, '[[stage]]\nkind = "deduplicate"\n[[stage]]\nkind = "deduplicate"\nnear = false\n')
    stages = load_recipe(path, ["deduplicate#2.shingle_words=3"]).stages
    assert [stage.shingle_words for stage in stages] == [5, 3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "dedupliacte.threshold=1",
            r"--set dedupliacte.threshold=1: the recipe has no stage 'dedupliacte'; did you mean 'deduplicate'\?",
        ),
        ("strip_html.engine=bs5", r"engine: 'bs5' is none of its values; did you mean 'bs4'\?"),
        ("filter_language.keep=en", r'keep: .*; write a list: \["en"\]'),
        ("strip_html.fallback=False", r"fallback: Expected `bool`, got `str`; write true or false"),
        ("deduplicate.threshold", r"expected stage.setting=value"),
        ("threshold=1", r"only `seed` stands alone"),
        ("deduplicate.treshold=1", r"unknown setting 'treshold'"),
    ],
)
def test_a_wrong_set_is_refused(change: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe("web", [change])


def test_the_fingerprint_changes_with_settings_and_files_but_not_with_words(tmp_path: Path) -> None:
    base = fingerprint(load_recipe("minimal"))
    assert fingerprint(load_recipe("minimal")) == base
    for change in ("seed=1", "deduplicate.near=true", "output.shard_tokens=7", "input.split_size=1MB"):
        assert fingerprint(load_recipe("minimal", [change])) != base
    table = recipe_table(load_recipe("minimal"))
    assert fingerprint(recipe_from({**table, "name": "other", "description": "words"})) == base
    words = tmp_path / "hosts.txt"
    words.write_text("one.example\n")
    before = fingerprint(load_recipe("web", [f'filter_url.block_files=["{words}"]']))
    words.write_text("two.example\n")
    assert fingerprint(load_recipe("web", [f'filter_url.block_files=["{words}"]'])) != before


def test_a_resolved_recipe_is_the_recipe() -> None:
    for name in built_in_recipes():
        recipe = load_recipe(name)
        assert recipe_from(recipe_table(recipe)) == recipe


def test_off_stands_for_none_which_toml_cannot_write() -> None:
    (stage,) = [
        stage for stage in load_recipe("web", ["deduplicate.bands=off"]).stages if isinstance(stage, Deduplicate)
    ]
    assert stage.bands is None
    with pytest.raises(RecipeError, match=r"threshold: Expected `float`, got `str`"):
        load_recipe("web", ["deduplicate.threshold=off"])


def test_several_stages_of_a_kind_must_be_told_apart(tmp_path: Path) -> None:
    path = write(tmp_path, '[[stage]]\nkind = "deduplicate"\n[[stage]]\nkind = "deduplicate"\nnear = false\n')
    with pytest.raises(RecipeError, match=r"several stages 'deduplicate'; say which: deduplicate#1, deduplicate#2"):
        load_recipe(path, ["deduplicate.near=true"])
    assert [stage.near for stage in load_recipe(path, ["deduplicate#1.near=false"]).stages] == [False, False]


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        (["tokenize", "strip_html"], "strip_html changes text, so it must come before tokenize"),
        (["normalize_text", "strip_html"], "normalize_text works on text, so it must come after strip_html"),
        (["deduplicate", "strip_html", "tokenize"], "deduplicate works on text, so it must come after strip_html"),
    ],
)
def test_an_order_that_cannot_work_is_refused(kinds: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        cut(recipe_from({"stage": [{"kind": kind} for kind in kinds]}).stages)


def test_the_description_names_every_setting() -> None:
    text = describe(load_recipe("web"))
    for stage in load_recipe("web").stages:
        assert f"[{stage.kind}]" in text
        for name in stage.__struct_fields__:
            assert f"  {name} = " in text
