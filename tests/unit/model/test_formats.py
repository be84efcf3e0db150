import pytest

from lwm2m_fota.model.formats import ContentFormat


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("TEXT", 0), ("LINK", 40), ("OPAQUE", 42), ("CBOR", 60), ("SENML_JSON", 110), ("SENML_CBOR", 112),
        ("SENML_ETCH_JSON", 320), ("SENML_ETCH_CBOR", 322), ("TLV", 11542), ("OMA_JSON", 11543),
        ("LWM2M_CBOR", 11544),
    ],
)  # fmt: skip
def test_numbers(name, number):
    assert ContentFormat[name] == number
