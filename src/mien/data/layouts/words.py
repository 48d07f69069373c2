"""Words of folder names: of the parts of a dataset, of expressions, and words that say nothing about the class."""

import re
import unicodedata

#: Common names of the three parts, without accents, marks and spaces, and the name that mien uses.
SPLIT_NAMES = {
    word: part
    for part, words in {
        "train": "train training trn trainval entrainement apprentissage entrenamiento treino treinamento "
        "addestramento обучение 训练 训练集 訓練 学習",
        "validation": "validation valid val dev publictest validierung validacion validacao validazione валидация "
        "验证 验证集 検証",
        "test": "test testing tst holdout heldout privatetest prueba pruebas teste тест 测试 测试集 テスト",
    }.items()
    for word in words.split()
}
#: `eval` is the validation part beside `train`, and the test part beside `train` and `val`.
EVALUATION = frozenset({"eval", "evaluation"})
#: Words that say nothing about the class, such as `set` in `training_set`.
NEUTRAL = frozenset(
    "set sets data dataset datasets image images imgs img pictures photos faces face files folder part split samples "
    "fer daten datos donnees dati bilder aligned original originals raw processed cropped crops augmented labels "
    "annotations".split()
)
#: Folders of a repository that hold pictures of its documentation and results.
_BYSTANDERS = frozenset(
    "docs doc documentation assets static figures figs plots results output outputs screenshots screenshot media "
    "readme examples example demo notebooks notebook src scripts logs models weights".split()
)
_EXPRESSIONS = frozenset(
    "angry anger disgust disgusted fear fearful afraid scared happy happiness joy smile smiling sad sadness unhappy "
    "surprise surprised surprising neutral contempt calm wutend wut ekel angst frohlich glucklich freude traurig "
    "trauer uberrascht uberraschung colere degout peur heureux joie triste tristesse feliz enojado".split()
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


def bare(name: str) -> str:
    """Return a name in lower case without accents, marks and spaces.

    Examples:
        >>> bare("Held-Out"), bare("Entra\u00eenement ")
        ('heldout', 'entrainement')
    """
    return re.sub(r"[\W_]+", "", _without_accents(name).lower())


def words_of(name: str) -> list[str]:
    """Return the words of a name, in lower case without accents, also of one written in CamelCase.

    Examples:
        >>> words_of("FER2013Train"), words_of("0_angry")
        (['fer', '2013', 'train'], ['0', 'angry'])
    """
    return [word.lower() for word in _WORD.findall(_without_accents(name))]


def is_neutral(word: str) -> bool:
    """Return whether a word says nothing about the class."""
    return word in NEUTRAL or word.isdecimal()


def names_nothing(name: str) -> bool:
    """Return whether a folder's name says only that there are images in it.

    Examples:
        >>> names_nothing("images"), names_nothing("happy images"), names_nothing("3")
        (True, False, False)
    """
    words = words_of(name)
    return bool(words) and all(map(is_neutral, words)) and not all(word.isdecimal() for word in words)


def is_expression(name: str) -> bool:
    """Return whether a folder is named by an expression, perhaps with a number.

    Examples:
        >>> is_expression("Happiness"), is_expression("0_angry"), is_expression("data")
        (True, True, False)
    """
    return any(word in _EXPRESSIONS for word in words_of(name))


def is_bystander(name: str) -> bool:
    """Return whether a folder is named like one that lies beside data, such as `docs`."""
    return bare(name) in _BYSTANDERS


def _without_accents(name: str) -> str:
    return "".join(one for one in unicodedata.normalize("NFKD", name) if not unicodedata.combining(one))
