"""The 17 Universal POS tags in the order that class numbers, weights and saved states rely on."""

UPOS = (
    "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM",
    "PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X",
)  # fmt: skip

IF_UNTAGGED = (
    "use dataset:tagged around the data, which names the part of speech of each word, or source = token-loss"
)
"""What to do where a masker goes by parts of speech and the data has none."""
