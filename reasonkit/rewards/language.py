"""Rewards thinking in one language (DeepSeek-R1's consistency reward, arXiv:2501.12948, 2.3.2).

R1 takes the share of the target language's words in the thinking. Which language a word belongs to
is told by its script and, among the Latin ones, by a table of frequent words: libraries that
identify languages need a sentence, and here a word or two stand among digits. Left out: Latin
languages without a table, which go unnoticed among Latin ones but for their own letters.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Callable

from reasonkit.answers.reading import thought_of
from reasonkit.errors import UnknownNameError
from reasonkit.types import Group

FREQUENT = {
    "en": """about after again all an and any are as at be because been before but by can could did
        do does down each equals every find first for from get gives half has have he her his how
        if in is it its left less let like many minus more multiply must my need next no not now of
        off on one only or other our out over plus result she should since so some sum than that
        the their them then there therefore these they this those three times to total twice two up
        us use was we were what when where which while who will with would yes you your answer step
        check wait""",
    "de": """aber alle als am an auf aus bei bin bis da dann das dass daraus davon dem den denn der
        des deshalb die dies diese dieser doch drei durch ein eine einem einen einer ergebnis
        ergibt erst er es folgt für fuer gibt gleich haben hat ich ihr im in ist jetzt kein man mal
        mehr mit nach nicht noch nun nur oder plus rechnen schritt sie sind so somit um und uns von
        vor war was wenn wie wieder wir wird zu zuerst zum zur zwei zwischen zunächst zusammen also
        antwort lautet daher""",
    "fr": """abord ainsi alors au aussi aux avec ce ces cette car chaque combien comme calcule dans
        de des deux donc du elle en encore ensuite entre est et étape etape fait il ils je la le
        les leur mais moins ne nous on ont ou où par pas plus pour premier puis qu que qui reponse
        réponse reste résultat resultat sa sans se ses si son sont sur total trois un une vous
        enfin""",
    "es": """ahora al algo así asi como con cada cuando cuánto cual de del desde después despues
        donde dos el ella en entonces entre es esta este esto está están fue hay la las le les lo
        luego los más mas menos muy nada no nos para paso pero por porque primero pues que qué
        queda respuesta resultado se sea según segun ser si sí sin sobre solo son su sus también
        tambien tenemos tiene total tres un una uno unos ya finalmente""",
}
"""Frequent words and those of worked solutions, by language; a word in two tables tells nothing."""

SCRIPTS = {
    "zh": ("CJK", "IDEOGRAPHIC"),
    "ja": ("CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "IDEOGRAPHIC"),
    "ko": ("HANGUL",),
    "ru": ("CYRILLIC",),
    "el": ("GREEK",),
    "ar": ("ARABIC",),
    "he": ("HEBREW",),
    "hi": ("DEVANAGARI",),
    "th": ("THAI",),
}
"""Languages that are told by their script, as Unicode names it."""

_COMMAND = re.compile(r"\\[A-Za-z]+")
_LETTERS = {"en": "", "de": "äöüß", "fr": "àâæçéèêëîïôœùûÿ", "es": "áéíñóúü"}
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_WORD = re.compile(r"[^\W\d_]+")


def make(parameter: str) -> Callable[[Group], list[float | None]]:
    """The reward for a language of `FREQUENT` or `SCRIPTS`; English where none is named.

    Raises:
        UnknownNameError: it is in neither.
    """
    if parameter and parameter not in (*FREQUENT, *SCRIPTS):
        raise UnknownNameError("language", parameter, (*FREQUENT, *SCRIPTS))
    return functools.partial(score, language=parameter or "en")


def score(group: Group, language: str = "en") -> list[float | None]:
    """The share of the language in the thinking of each completion (`share`)."""
    return [share(completion.text, language) for completion in group.completions]


def share(text: str, language: str = "en") -> float:
    """The share of distinct words of a language among those whose language can be told.

    Taken of the thought, or of the whole text where no tag marks one. Each word counts once, so
    that padding with one word doesn't pay. Shorthand without a telling word, such as ``2+7=9``,
    has nothing foreign in it: 1.0. A text or a thought without a letter or a digit: 0.0. LaTeX
    commands are no words.
    """
    said = thought_of(text)
    if not any(character.isalnum() for character in said):
        return 0.0
    told = [_is_in(word, language) for word in set(_words(said))]
    known = [verdict for verdict in told if verdict is not None]
    return sum(known) / len(known) if known else 1.0


def _words(text: str) -> list[str]:
    plain = _COMMAND.sub(" ", unicodedata.normalize("NFC", text).lower())
    spaced = _UNSPACED.sub(r" \g<0> ", plain)
    return _WORD.findall(spaced)


@functools.cache
def _tables() -> dict[str, frozenset[str]]:
    words = {language: frozenset(table.split()) for language, table in FREQUENT.items()}
    tables = Counter(word for table in words.values() for word in table)
    return {
        language: frozenset(word for word in table if tables[word] == 1)
        for language, table in words.items()
    }


def _is_in(word: str, language: str) -> bool | None:
    """Whether a word is of the language; None where that can't be told."""
    if len(word) == 1 and not _UNSPACED.match(word):
        # A formula's x or π stands alone in any language.
        return None
    scripts = {unicodedata.name(character, "?").split()[0] for character in word}
    if language in SCRIPTS:
        return scripts <= set(SCRIPTS[language])
    if scripts != {"LATIN"}:
        return False
    found = [name for name, table in _tables().items() if word in table]
    if found:
        return found == [language]
    if any(ord(character) > 127 and character not in _LETTERS[language] for character in word):
        return False
    return None
