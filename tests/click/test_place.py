"""Places from the records of geo bases of several makers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.click.place import NOWHERE, Place, place_from
from tests.click.geo.mmdb import DBIP_CITY, FLAT_CITY, GEOIP_ISP, GEOLITE_ASN, GEOLITE_CITY, IPINFO_LITE


@pytest.mark.parametrize(
    ("records", "place"),
    [
        ([GEOLITE_CITY], Place("US", "NA", "US-CA", "Los Angeles")),
        ([GEOLITE_CITY, GEOLITE_ASN], Place("US", "NA", "US-CA", "Los Angeles", "T-MOBILE-AS21928", "21928")),
        ([GEOLITE_CITY, GEOIP_ISP, GEOLITE_ASN, {"connection_type": "Cellular"}], Place("US", "NA", "US-CA", "Los Angeles", "T-Mobile USA", "21928", "mobile")),  # noqa: E501
        ([None, GEOLITE_ASN], Place(isp="T-MOBILE-AS21928", asn="21928")),
        ([{"registered_country": {"iso_code": "DE"}}], Place("DE")),
        ([{"country": "FR", "continent": "EU", "asn": "AS3215", "as_name": "Orange"}], Place("FR", "EU", isp="Orange", asn="3215")),
        ([{"traits": {"isp": "A", "autonomous_system_number": 7, "connection_type": "Cable/DSL"}}], Place(isp="A", asn="7", connection="broadband")),  # noqa: E501
        ([{"country": {"iso_code": "DE"}}, GEOLITE_CITY], Place("DE")),
        (["nothing", {"country": {"iso_code": "DE"}}, GEOLITE_ASN, GEOLITE_CITY], Place("DE", isp="T-MOBILE-AS21928", asn="21928")),
        ([DBIP_CITY], Place("DE", "EU", "DE-BY", "Munich")),
        ([FLAT_CITY], Place("DE", "", "DE-BY", "Munich")),
        ([IPINFO_LITE], Place("FR", "EU", isp="Orange S.A.", asn="3215")),
        ([{"country": {"iso_code": "BR"}, "subdivisions": [{"names": {"en": "São Paulo"}}]}], Place("BR", "", "BR-SP")),
        ([{"country": {"iso_code": "US"}, "subdivisions": [{"names": {"en": "Bavaria"}}]}], Place("US")),
        ([{"isp": "A\0B", "city": "x" * 200}], Place(city="x" * 100, isp="AB")),
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
