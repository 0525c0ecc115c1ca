"""Currencies: ISO 4217 codes, and the signs and words that people and networks write instead."""

from types import MappingProxyType

_CODES = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF
CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG
HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA
MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD
RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX
USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
CURRENCIES = frozenset(_CODES.split())
"""The ISO 4217 codes of money in circulation."""

_DOLLARS = (
    "USD AUD BBD BMD BND BSD BZD CAD FJD GYD HKD JMD KYD LRD MXN NAD NZD SBD SGD SRD TTD TWD XCD ARS CLP COP DOP UYU"
)
_RUPEES = "INR LKR MUR NPR PKR SCR"
_FRANCS = "CHF XAF XOF XPF CDF DJF BIF GNF KMF RWF"
SIGNS = {
    # Signs of several currencies that mean the first unless something else is written beside them.
    "$": _DOLLARS,
    "£": "GBP EGP FKP GIP LBP SHP SSP SYP",
    "¥": "JPY CNY",
    # Signs of one currency.
    "€": "EUR",
    "₽": "RUB",
    "₹": "INR",
    "₴": "UAH",
    "₺": "TRY",
    "₩": "KRW",
    "₫": "VND",
    "₱": "PHP",
    "₪": "ILS",
    "₸": "KZT",
    "₦": "NGN",
    "฿": "THB",
    "₡": "CRC",
    "₲": "PYG",
    "₵": "GHS",
    "₾": "GEL",
    "₼": "AZN",
    "₭": "LAK",
    "₮": "MNT",
    "֏": "AMD",
    "៛": "KHR",
    "৳": "BDT",
    "元": "CNY",
    "円": "JPY",
    "원": "KRW",
    "US$": "USD",
    "U$S": "USD",
    "U$": "USD",
    "$US": "USD",
    "A$": "AUD",
    "AU$": "AUD",
    "$AU": "AUD",
    "C$": "CAD",
    "CA$": "CAD",
    "CAN$": "CAD",
    "$CA": "CAD",
    "NZ$": "NZD",
    "$NZ": "NZD",
    "HK$": "HKD",
    "S$": "SGD",
    "SG$": "SGD",
    "NT$": "TWD",
    "TW$": "TWD",
    "MX$": "MXN",
    "MEX$": "MXN",
    "R$": "BRL",
    "AR$": "ARS",
    "CL$": "CLP",
    "CO$": "COP",
    "COL$": "COP",
    "RD$": "DOP",
    "UY$": "UYU",
    "$U": "UYU",
    "J$": "JMD",
    "JA$": "JMD",
    "TT$": "TTD",
    "BZ$": "BZD",
    "BDS$": "BBD",
    "EC$": "XCD",
    "CI$": "KYD",
    "FJ$": "FJD",
    "N$": "NAD",
    "CN¥": "CNY",
    "JP¥": "JPY",
    "RMB": "CNY",
    "GH₵": "GHS",
    "S/": "PEN",
    "S/.": "PEN",
    "B/.": "PAB",
    "ZŁ": "PLN",
    "ZŁ.": "PLN",
    "KČ": "CZK",
    "KC": "CZK",
    "FT": "HUF",
    "FT.": "HUF",
    "ЛВ": "BGN",
    "ЛВ.": "BGN",
    "РУБ": "RUB",
    "РУБ.": "RUB",
    "RUB.": "RUB",
    "RUR": "RUB",  # the code before 1998, which Russian networks still write
    "ГРН": "UAH",
    "ГРН.": "UAH",
    "ТГ": "KZT",
    "ТГ.": "KZT",
    "ДИН": "RSD",
    "ДИН.": "RSD",
    "ДЕН": "MKD",
    "ДЕН.": "MKD",
    "RP": "IDR",
    "RP.": "IDR",
    "RM": "MYR",
    "TL": "TRY",
    "NIS": "ILS",
    "Đ": "VND",
    "VNĐ": "VND",
    "TK": "BDT",
    "TK.": "BDT",
    "KSH": "KES",
    "KSH.": "KES",
    "TSH": "TZS",
    "USH": "UGX",
    "SFR": "CHF",
    "SFR.": "CHF",
    "KM": "BAM",
    "R": "ZAR",
    "Q": "GTQ",
    # Words, except those that mean something else in a column's name: ``real``, ``won``.
    "DOLLAR": _DOLLARS,
    "DOLLARS": _DOLLARS,
    "USDOLLAR": "USD",
    "USDOLLARS": "USD",
    "EURO": "EUR",
    "EUROS": "EUR",
    "POUND": "GBP EGP LBP SYP",
    "POUNDS": "GBP EGP LBP SYP",
    "RUBLE": "RUB BYN",
    "RUBLES": "RUB BYN",
    "ROUBLES": "RUB BYN",
    "YEN": "JPY",
    "YUAN": "CNY",
    "ZLOTY": "PLN",
    "ЕВРО": "EUR",
    "ДОЛЛ": "USD",
    "ДОЛЛ.": "USD",
    "ДОЛЛАР": "USD",
    "ДОЛЛАРА": "USD",
    "ДОЛЛАРОВ": "USD",
    "РУБЛЬ": "RUB",
    "РУБЛЯ": "RUB",
    "РУБЛЕЙ": "RUB",
    "ГРИВЕН": "UAH",
    "ГРИВНА": "UAH",
    "ТЕНГЕ": "KZT",
    # Signs of several currencies, none of which is more likely than the others.
    "KR": "DKK ISK NOK SEK",
    "KR.": "DKK ISK NOK SEK",
    "RS": _RUPEES,
    "RS.": _RUPEES,
    "₨": _RUPEES,
    "FR": _FRANCS,
    "FR.": _FRANCS,
    "LEI": "MDL RON",
    "LEU": "MDL RON",
    "DH": "AED MAD",
    "DHS": "AED MAD",
    "DHS.": "AED MAD",
    "BR": "BYN ETB",
    "BS": "BOB VES",
    "BS.": "BOB VES",
    "Р": "BYN RUB",
    "Р.": "BYN RUB",
    "SH": "KES SOS TZS UGX",
    "L": "HNL MDL RON",
    "﷼": "IRR OMR QAR SAR YER",
    "SR": "SAR SCR",
    "DIN": "DZD IQD KWD RSD TND",
}
_MEANINGS = MappingProxyType({sign: tuple(codes.split()) for sign, codes in SIGNS.items()})
_USUAL = MappingProxyType(
    {"$": "USD", "£": "GBP", "¥": "JPY"}
    | {"DOLLAR": "USD", "DOLLARS": "USD", "POUND": "GBP", "POUNDS": "GBP"}
    | {"RUBLE": "RUB", "RUBLES": "RUB", "ROUBLES": "RUB"}
)
_CODE_LETTERS = 3
_MAX_WORD_LETTERS = 5  # longer words are no currencies, except those listed above


def meanings(unit: str) -> tuple[str, ...]:
    """Return the currencies that a sign or code may mean, in any case; none if it cannot name a currency.

    An unknown word of three to five letters is returned as it is, in upper case: ``USDT`` names a currency, though one that
    cannot be converted.
    """
    unit = unit.upper()
    if codes := _MEANINGS.get(unit):
        return codes
    if not unit.isascii():
        return ()
    if unit.isalpha():
        return (unit,) if _CODE_LETTERS <= len(unit) <= _MAX_WORD_LETTERS else ()
    # A code beside a sign: ``CAD$``, ``$USD``.
    for code, sign in ((unit[:3], unit[3:]), (unit[-3:], unit[:-3])):
        if code in CURRENCIES and code in _MEANINGS.get(sign, ()):
            return (code,)
    return ()


def usual_meaning(unit: str) -> str | None:
    """Return the currency that a sign or code means by itself; None if it may mean several, or none."""
    unit = unit.upper()
    if usual := _USUAL.get(unit):
        return usual
    codes = meanings(unit)
    return codes[0] if len(codes) == 1 else None


def currency_of(text: str) -> str | None:
    """Return the ISO 4217 code of a code or sign, in any case; None if it is unknown or ambiguous."""
    code = usual_meaning(text.strip())
    return code if code in CURRENCIES else None


def may_mean(unit: str, code: str) -> bool:
    """Return whether an ambiguous sign, such as ``kr``, can mean a currency."""
    codes = _MEANINGS.get(unit.upper(), ())
    return len(codes) > 1 and code in codes
