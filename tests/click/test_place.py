"""Places from the records of geo bases of several makers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.click.place import NOWHERE, Place, place_from

_CITY = {
    "continent": {"code": "NA", "names": {"en": "North America"}},
    "country": {"iso_code": "US", "names": {"en": "United States"}},
    "subdivisions": [{"iso_code": "CA", "names": {"en": "California"}}],
    "city": {"names": {"en": "Los Angeles", "de": "Los Angeles (Stadt)"}},
}
_ASN = {"autonomous_system_number": 21928, "autonomous_system_organization": "T-MOBILE-AS21928"}
_ISP = {"isp": "T-Mobile USA", "organization": "T-Mobile", "autonomous_system_number": 21928}


@pytest.mark.parametrize(
    ("records", "place"),
    [
        ([_CITY], Place("US", "NA", "US-CA", "Los Angeles")),
        ([_CITY, _ASN], Place("US", "NA", "US-CA", "Los Angeles", "T-MOBILE-AS21928", "21928")),
        ([_CITY, _ISP, _ASN, {"connection_type": "Cellular"}], Place("US", "NA", "US-CA", "Los Angeles", "T-Mobile USA", "21928", "mobile")),  # noqa: E501
        ([None, _ASN], Place(isp="T-MOBILE-AS21928", asn="21928")),
        ([{"registered_country": {"iso_code": "DE"}}], Place("DE")),
        ([{"country": "FR", "continent": "EU", "asn": "AS3215", "as_name": "Orange"}], Place("FR", "EU", isp="Orange", asn="3215")),
        ([{"traits": {"isp": "A", "autonomous_system_number": 7, "connection_type": "Cable/DSL"}}], Place(isp="A", asn="7", connection="broadband")),  # noqa: E501
        ([{"country": {"iso_code": "DE"}}, _CITY], Place("DE", "NA", "", "Los Angeles")),
        ([{"country": {"iso_code": "US"}, "subdivisions": [{"names": {"en": "California"}}]}], Place("US")),
        ([{"country": {"iso_code": "US"}, "subdivisions": [{"iso_code": "california"}]}], Place("US")),
        ([{"country": {"iso_code": "usa"}, "continent": {"code": "XX"}, "connection_type": "Pigeon"}], NOWHERE),
        ([], NOWHERE),
    ],
)  # fmt: skip
def test_records_become_one_place(records: list[object], place: Place) -> None:
    assert place_from(records) == place


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "country",
                    "iso_code",
                    "city",
                    "names",
                    "en",
                    "subdivisions",
                    "traits",
                    "isp",
                    "asn",
                    "continent",
                    "code",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.lists(_ANYTHING, max_size=3))
def test_no_record_of_a_damaged_base_breaks_it(records: list[object]) -> None:
    place = place_from(records)
    assert place.country == "" or place.country.isupper()
