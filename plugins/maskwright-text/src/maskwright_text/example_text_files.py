"""Tiny files of text in every form that is read here: examples for the contract checks and the tests."""

import json
from pathlib import Path

SENTENCES = (
    "The river was high.",
    "Nobody saw the stone, and nobody asked.",
    "A lamp burns in the window!",
    "We didn't sail on Monday.",
    "Seven boats lay in the harbour.",
    "Paper is made of wood.",
    "Clouds came up from the west.",
    "Who keeps the garden?",
)

TREEBANK = """\
# sent_id = 1
1\tShe\tshe\tPRON\tPRP\t_\t2\tnsubj\t_\t_
2\tsails\tsail\tVERB\tVBZ\t_\t0\troot\t_\tSpaceAfter=No
3\t.\t.\tPUNCT\t.\t_\t2\tpunct\t_\t_

# sent_id = 2
1\tWe\twe\tPRON\tPRP\t_\t4\tnsubj\t_\t_
2-3\tdon't\t_\t_\t_\t_\t_\t_\t_\t_
2\tdo\tdo\tAUX\tVBP\t_\t4\taux\t_\t_
3\tn't\tnot\tPART\tRB\t_\t4\tadvmod\t_\t_
4\tknow\tknow\tVERB\tVB\t_\t0\troot\t_\tSpaceAfter=No
5\t.\t.\tPUNCT\t.\t_\t4\tpunct\t_\t_

1\tHigh\thigh\tADJ\tJJ\t_\t2\tamod\t_\t_
2\twaters\twater\tNOUN\tNNS\t_\t0\troot\t_\t_

1\tBoats\tboat\tNOUN\tNNS\t_\t2\tnsubj\t_\t_
2\tleft\tleave\tVERB\tVBD\t_\t0\troot\t_\tSpaceAfter=No
3\t!\t!\tPUNCT\t.\t_\t2\tpunct\t_\t_
"""
"""Four sentences, one of them with a contraction."""


def lines_file(folder: Path) -> Path:
    """A sentence a line, with a blank one between."""
    return _written(folder / "lines.txt", "\n\n".join(SENTENCES) + "\n")


def documents_folder(folder: Path) -> Path:
    """train/ and test/, in each the folders calm/ and loud/ with files of two lines."""
    for number, sentence in enumerate(SENTENCES):
        place = (
            folder / "documents" / ("test" if number < 2 else "train") / ("calm" if number % 2 else "loud")
        )
        _written(place / f"{number}.txt", f"{sentence}\nThat was all.\n")
    return folder / "documents"


def json_file(folder: Path) -> Path:
    """train and test: src, a list of words; tgt, a text; kind, one of two classes."""
    rows = [
        {"src": sentence.split(), "tgt": sentence.split()[0], "kind": "calm" if number % 2 else "loud"}
        for number, sentence in enumerate(SENTENCES)
    ]
    for split in ("train", "test"):
        _written(folder / "objects" / f"{split}.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    return folder / "objects"


def csv_file(folder: Path) -> Path:
    """sentence and reply, with commas and line breaks in entries."""
    rows = "".join(f'"{sentence}","Yes,\nindeed {number}."\n' for number, sentence in enumerate(SENTENCES))
    return _written(folder / "table.csv", "sentence,reply\n" + rows)


def conllu_file(folder: Path) -> Path:
    """The treebank."""
    return _written(folder / "sentences.conllu", TREEBANK)


def arrow_folder(folder: Path) -> Path:
    """As `datasets` saves splits: train/ and test/ with a stream of records, and a label whose classes have names."""
    from maskwright_text.arrow_data import pyarrow

    library, place = pyarrow(), folder / "saved"
    if place.exists():
        return place
    classes = {"names": ["loud", "calm"], "_type": "ClassLabel"}
    features = {"sentence": {"dtype": "string", "_type": "Value"}, "label": classes}
    told = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    labels = [number % 2 for number in range(len(SENTENCES))]
    table = library.table({"sentence": list(SENTENCES), "label": labels}).replace_schema_metadata(told)
    for split, part in {"train": table.slice(2), "test": table.slice(0, 2)}.items():
        name = "data-00000-of-00001.arrow"
        (place / split).mkdir(parents=True)
        with library.ipc.new_stream(str(place / split / name), part.schema) as stream:
            stream.write_table(part)
        _written(place / split / "state.json", json.dumps({"_data_files": [{"filename": name}]}))
    _written(place / "dataset_dict.json", json.dumps({"splits": ["train", "test"]}))
    return place


def squad_file(folder: Path) -> Path:
    """train and test, an article each: three questions about a paragraph, of which the second has no answer."""
    for number, split in enumerate(("train", "test")):
        context = f"{SENTENCES[number]} {SENTENCES[number + 2]}"
        answers = [{"text": context.split()[1], "answer_start": context.index(context.split()[1])}]
        asked = [
            {"id": f"{split}-a", "question": "What was it?", "answers": answers},
            {"id": f"{split}-b", "question": "Who was it?", "answers": []},
            {"id": f"{split}-c", "question": "Which one?", "answers": answers},
        ]
        article = {"title": split, "paragraphs": [{"context": context, "qas": asked}]}
        _written(folder / "squad" / f"{split}.json", json.dumps({"version": "1.1", "data": [article]}))
    return folder / "squad"


def _written(path: Path, text: str) -> Path:
    if not path.exists():  # written again it would be another file, and data sets notice that
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    return path
