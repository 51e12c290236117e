"""Tags of other tag sets as Universal POS tags.

Subordinating conjunctions cannot be told from prepositions in either set, so no tag becomes SCONJ; forms of be, have
and do carry a verb's tag in Penn, so only modal verbs become AUX there.
"""

PENN = {
    "CC": "CCONJ", "CD": "NUM", "DT": "DET", "EX": "PRON", "FW": "X", "IN": "ADP",
    "JJ": "ADJ", "JJR": "ADJ", "JJS": "ADJ", "LS": "X", "MD": "AUX",
    "NN": "NOUN", "NNS": "NOUN", "NNP": "PROPN", "NNPS": "PROPN",
    "PDT": "DET", "POS": "PART", "PRP": "PRON", "PRP$": "PRON", "RB": "ADV", "RBR": "ADV", "RBS": "ADV",
    "RP": "ADP", "SYM": "SYM", "TO": "PART", "UH": "INTJ",
    "VB": "VERB", "VBD": "VERB", "VBG": "VERB", "VBN": "VERB", "VBP": "VERB", "VBZ": "VERB",
    "WDT": "DET", "WP": "PRON", "WP$": "PRON", "WRB": "ADV",
    "$": "SYM", "#": "SYM", "£": "SYM", "HYPH": "PUNCT", "AFX": "ADJ", "NIL": "X",
    ".": "PUNCT", ",": "PUNCT", ":": "PUNCT", "(": "PUNCT", ")": "PUNCT", '"': "PUNCT", "``": "PUNCT", "''": "PUNCT",
    "-LRB-": "PUNCT", "-RRB-": "PUNCT",
}  # fmt: skip
"""Penn Treebank, as textblob and nltk use it."""

C5 = {
    "AJ0": "ADJ", "AJC": "ADJ", "AJS": "ADJ", "ORD": "ADJ", "AT0": "DET", "DT0": "DET", "DTQ": "DET",
    "AV0": "ADV", "AVP": "ADP", "AVQ": "ADV", "CJC": "CCONJ", "CJS": "ADP", "CJT": "ADP", "CRD": "NUM",
    "DPS": "PRON", "EX0": "PRON", "ITJ": "INTJ", "NN0": "NOUN", "NN1": "NOUN", "NN2": "NOUN", "NP0": "PROPN",
    "PNI": "PRON", "PNP": "PRON", "PNQ": "PRON", "PNX": "PRON", "POS": "PART", "PRF": "ADP", "PRP": "ADP",
    "PUL": "PUNCT", "PUN": "PUNCT", "PUQ": "PUNCT", "PUR": "PUNCT", "TO0": "PART", "UNC": "X", "XX0": "PART",
    "VBB": "AUX", "VBD": "AUX", "VBG": "AUX", "VBI": "AUX", "VBN": "AUX", "VBZ": "AUX", "VM0": "AUX",
    "VDB": "VERB", "VDD": "VERB", "VDG": "VERB", "VDI": "VERB", "VDN": "VERB", "VDZ": "VERB",
    "VHB": "VERB", "VHD": "VERB", "VHG": "VERB", "VHI": "VERB", "VHN": "VERB", "VHZ": "VERB",
    "VVB": "VERB", "VVD": "VERB", "VVG": "VERB", "VVI": "VERB", "VVN": "VERB", "VVZ": "VERB", "ZZ0": "SYM",
}  # fmt: skip
"""CLAWS C5, the tag set of the British National Corpus, as HanTa uses it for English."""
