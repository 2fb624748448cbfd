"""Check digits of numbers that name people or their accounts, each by the rule of who issues it.

Invariant: pure and total: any text gives True or False. A number that passes is well formed, not somebody's for sure.
"""

import re
from collections.abc import Sequence
from datetime import date

#: Lengths of IBANs by country (SWIFT IBAN registry); others are held to the checksum alone.
IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AT": 20, "BE": 16, "BG": 22, "BR": 29, "CH": 21, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "EE": 20,
    "ES": 24, "FI": 18, "FR": 27, "GB": 22, "GR": 27, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IS": 26, "IT": 27, "LI": 21,
    "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MT": 31, "NL": 18, "NO": 15, "PL": 28, "PT": 25, "RO": 24, "SA": 24, "SE": 24,
    "SI": 19, "SK": 24, "SM": 27, "TR": 26, "UA": 29,
}  # fmt: skip
_SEPARATORS = re.compile(r"[\s.\-+/]")
#: Verhoeff's tables (J. Verhoeff, Error Detecting Decimal Codes, 1969): the dihedral group D5 and its permutation.
_D5 = tuple(
    tuple((a + b) % 5 if a < 5 and b < 5 else (a + b - 5) % 5 + 5 if a < 5 else (a - b) % 5 + 5 if b < 5 else (a - b) % 5
          for b in range(10))
    for a in range(10)
)  # fmt: skip
_PERMUTATION = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
_ITALIAN_ODD = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", (
    1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
), strict=True))  # fmt: skip
_SPANISH = "TRWAGMYFPDXBNJZSQVHLCKE"


def plain(text: str) -> str:
    """Without separators, in capital letters."""
    return _SEPARATORS.sub("", text).upper()


def _weighed(text: str, weights: Sequence[int]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(text, weights, strict=False))


def _numeric(text: str, *lengths: int) -> str | None:
    found = plain(text)
    return found if found.isascii() and found.isdigit() and len(found) in lengths else None


def luhn(text: str) -> bool:
    """ISO/IEC 7812-1 Annex B."""
    total = 0
    for place, digit in enumerate(reversed(text)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def card(text: str) -> bool:
    """A payment card: 13 to 19 digits of an issuer's range, Luhn, not one digit over and over."""
    found = _numeric(text, *range(13, 20))
    return found is not None and found[0] in "23456" and len(set(found)) > 1 and luhn(found)


def iban(text: str) -> bool:
    """ISO 13616 with ISO 7064 mod 97-10."""
    found = plain(text)
    if not (found.isascii() and found.isalnum()) or not 15 <= len(found) <= 34:
        return False
    if len(found) != IBAN_LENGTHS.get(found[:2], len(found)) or not found[2:4].isdigit():
        return False
    return int("".join(str(int(sign, 36)) for sign in found[4:] + found[:4])) % 97 == 1


def german_tax(text: str) -> bool:
    """Steueridentifikationsnummer: ISO 7064 mod 11,10; of the first ten digits one occurs two or three times."""
    found = _numeric(text, 11)
    if found is None or found[0] == "0" or len(set(found[:10])) not in (8, 9):
        return False
    product = 10
    for digit in found[:10]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(found[10])


def us_social_security(text: str) -> bool:
    """A US social security number has no check digit; areas, groups and serials never issued are left out."""
    found = _numeric(text, 9)
    return (
        found is not None
        and found[:3] not in ("000", "666")
        and found[0] != "9"
        and found[3:5] != "00"
        and found[5:] != "0000"
    )


def british_insurance(text: str) -> bool:
    """A UK national insurance number has no check digit; prefixes never issued are left out."""
    found = plain(text)
    if not re.fullmatch(r"[A-Z]{2}\d{6}[A-D]", found, re.ASCII):
        return False
    banned = found[0] in "DFIQUV" or found[1] in "DFIOQUV"
    return not banned and found[:2] not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")


def french_insee(text: str) -> bool:
    """Numéro de sécurité sociale: the key is 97 less the number modulo 97; Corsica's letters count as 19 and 18."""
    found = plain(text).replace("2A", "19", 1).replace("2B", "18", 1)
    return found.isascii() and found.isdigit() and len(found) == 15 and 97 - int(found[:13]) % 97 == int(found[13:])


def spanish(text: str) -> bool:
    """DNI and NIE: the letter is the number modulo 23."""
    found = plain(text)
    if not re.fullmatch(r"[XYZ\d]\d{7}[A-Z]", found, re.ASCII):
        return False
    number = found[:8].replace("X", "0").replace("Y", "1").replace("Z", "2")
    return _SPANISH[int(number) % 23] == found[8]


def italian(text: str) -> bool:
    """Codice fiscale: odd and even places by the decree's tables, modulo 26."""
    found = plain(text)
    if not re.fullmatch(r"[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z]", found, re.ASCII):
        return False
    even = sum(int(sign) if sign.isdigit() else ord(sign) - 65 for sign in found[1:15:2])
    return (sum(_ITALIAN_ODD[sign] for sign in found[:15:2]) + even) % 26 == ord(found[15]) - 65


def dutch(text: str) -> bool:
    """Burgerservicenummer: the eleven test, the last digit weighing -1."""
    found = _numeric(text, 9)
    return found is not None and found != "0" * 9 and _weighed(found, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def polish(text: str) -> bool:
    """PESEL: weights 1, 3, 7, 9, modulo 10; the month carries the century."""
    found = _numeric(text, 11)
    if found is None or not 1 <= int(found[2:4]) % 20 <= 12 or not 1 <= int(found[4:6]) <= 31:
        return False
    return (10 - _weighed(found[:10], (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10) % 10 == int(found[10])


def swedish(text: str) -> bool:
    """Personnummer: a day of birth, and Luhn over its last ten digits."""
    found = _numeric(text, 10, 12)
    if found is None:
        return False
    found = found[-10:]
    # A coordination number has 60 added to its day.
    return _day(found[:4] + f"{int(found[4:6]) % 60:02}") and luhn(found)


def _day(text: str) -> bool:
    try:
        date(2000 + int(text[:2]), int(text[2:4]), int(text[4:6]))
    except ValueError:
        return False
    return True


def belgian(text: str) -> bool:
    """Rijksregisternummer: 97 less the number modulo 97, for births from 2000 on with a 2 before it."""
    found = _numeric(text, 11)
    if found is None or int(found[2:4]) > 12 or int(found[4:6]) > 31:
        return False
    return int(found[9:]) in (97 - int(found[:9]) % 97, 97 - int("2" + found[:9]) % 97)


def swiss(text: str) -> bool:
    """AHV number: an EAN-13 that begins with 756."""
    found = _numeric(text, 13)
    return found is not None and found.startswith("756") and _weighed(found, (1, 3) * 7) % 10 == 0


def indian(text: str) -> bool:
    """Aadhaar: Verhoeff."""
    found = _numeric(text, 12)
    if found is None or found[0] in "01":
        return False
    check = 0
    for place, digit in enumerate(reversed(found)):
        value = int(digit)
        for _ in range(place % 8):
            value = _PERMUTATION[value]
        check = _D5[check][value]
    return check == 0


def brazilian(text: str) -> bool:
    """CPF: two digits modulo 11."""
    found = _numeric(text, 11)
    if found is None or len(set(found)) == 1:
        return False
    first = _weighed(found[:9], range(10, 1, -1)) * 10 % 11 % 10
    second = _weighed(found[:10], range(11, 1, -1)) * 10 % 11 % 10
    return found[9:] == f"{first}{second}"
