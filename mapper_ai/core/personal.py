"""Which fields hold personal values, told from their names, what stands beside them, and the look of their values."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Final

_SPLIT: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+")


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Compared with a member's name in small letters without anything else: `firstName` is firstname.
_PERSON_NAMES: Final = _set(
    """firstname fname givenname forename lastname lname surname familyname middlename fullname displayname nickname
    contactname customername clientname buyername recipientname shippingname billingname cardholder cardholdername
    accountholder payername attention attentionto attn addressee contactperson contactdisplay shiptoname billtoname
    nameoncard nameonacct nameonaccount salesrep referredby
    firstnames lastnames secondname vorname nachname nom prenom username login loginname screenname handle"""
)
_COMPANIES: Final = _set(
    """company companyname organisation organization organisationname organizationname businessname legalname
    tradename tradingname firm firma companyorname"""
)
_EMAILS: Final = _set("email emails mail emailaddress mailaddress contactemail email1 email2 workemail replyto")
_PHONES: Final = _set(
    "phone phones phonenumber telephone tel mobile mobilephone cell cellphone fax faxnumber whatsapp msisdn telefon"
)
_ADDRESSES: Final = _set(
    """address address1 address2 address3 addr addr1 addr2 addressline addressline1 addressline2 addressline3 street
    street1 street2 streetname streetaddress streetnumber housenumber line1 line2 line3 suite apartment apt unitnumber
    building addressdisplay city town suburb locality district village county formattedaddress crossstreet pobox"""
)
_POSTCODES: Final = _set("zip zipcode postal postalcode postcode plz pcode scode zippostalcode postzip")
_TAX_IDS: Final = _set(
    """vatnumber vatid vatno vatregistration vatregistrationnumber taxnumber taxidentificationnumber taxregistration
    taxregistrationnumber ein ssn nino gstin abn acn siret siren nationalid passport passportnumber driverlicense
    driverslicense personalnumber taxexemptnumber exemptionnumber resalenumber fiscalcode codicefiscale nif cif ustid
    ustidnr socialsecuritynumber organisationnumber organizationnumber vat taxvat tvaintra"""
)
_TEXTS: Final = _set(
    """note notes comment comments message messages instructions remark remarks memo feedback giftmessage giftnote
    customernote customernotes buyernote buyernotes ordernote ordernotes specialinstructions deliveryinstructions
    shippinginstructions deliverynote customermessage internalnote internalnotes staffnote staffnotes signature bio
    about inscription engraving personalization personalisation wishes customerremark privatenote"""
)
_BIRTHS: Final = _set("birth birthday birthdate dateofbirth dob")
_IPS: Final = _set("ip ipaddress clientip remoteip remoteaddr customerip browserip browseripaddress userip")
_PLACES: Final = _set("latitude longitude lat lng lon")
_LINKS: Final = _set("website homepage avatar avatarurl photo photourl picture portrait profileurl facebook linkedin")
# The same at the end of longer names: `primaryContactFirstName`.
_ENDINGS: Final = (
    (
        "name",
        ("firstname", "lastname", "surname", "familyname", "givenname", "fullname", "contactname", "customername"),
    ),
    ("text", ("notes", "customernote", "comment", "comments", "message", "instructions", "remarks", "memo")),
    ("phone", ("phone", "phonenumber", "telephone", "mobile", "fax")),
    ("postcode", ("postalcode", "zipcode", "postcode")),
    ("company", ("companyname",)),
    ("birth", ("birthdate", "birthday", "dateofbirth")),
    ("address", ("address", "address1", "address2", "addressline1", "addressline2", "street", "street1", "street2")),
)
# Names that people and products have alike.
_EITHER: Final = _set("displayname fullname handle")
_PRODUCT_SIBLINGS: Final = _set("sku price unitprice listprice barcode gtin ean upc quantity inventory stock")
# Members that make the object they stand in a person or firm: its `name` is personal, too.
_PERSONAL_SIBLINGS: Final = _PERSON_NAMES | _EMAILS | _PHONES | _POSTCODES | _set("street address1 vatnumber")
# Objects, and members of plain text, that are about somebody.
_PEOPLE: Final = _set(
    """customer customers client clients contact contacts buyer buyers person people user users recipient recipients
    payer cardholder owner billing shipping billto shipto billingaddress shippingaddress address addresses consignee
    beneficiary guest subscriber member employee staff author createdby updatedby approvedby salesperson sender
    deliveryaddress invoiceaddress billingcontact shippingcontact attendee household"""
)
# Beginnings of yes-or-no fields: `is_shipping_address`.
_ASKING: Final = _set("is has use uses same can accepts allow")
# ... unless the same name says that it is about a thing: the name of a shipping line is a carrier's.
_THINGS: Final = _set(
    """line lines item items method methods rate rates service services option options carrier tax taxes zone class
    group groups type types segment status tag tags plan product products variant category store warehouse currency
    total cost price amount discount list lists"""
)
_VALUES_OF: Final = _set("number value freeformnumber national nationalnumber international local raw formatted")
_LABELS: Final = _set("key name label field code attribute")
_FIRST_PREFIXES: Final = re.compile(
    r"^(?:billing|shipping|billto|shipto|sellto|bill|ship|sell|customer|client|buyer|contact|recipient|delivery|invoice|home|work|"
    r"office|bus|business|mob|company|primary|secondary|main|p|s|user|payer|guest|owner|alt|alternate|preferred|daytime|evening)"
    r"(?=[a-z])"
)

# A name, unless the value is an id or a number: `customer: "C-1001"`, an order's name `#1001`.
SOMEBODY: Final = "somebody"


def kind_of_field(names: Sequence[str], siblings: Collection[str]) -> str:
    """The kind of personal value that a field holds, "" when its name says nothing of the sort.

    Args:
        names: Member names from the record's root to the field, arrays without brackets.
        siblings: Member names of the object that the field stands in.
    """
    if not names:
        return ""
    own = squeeze(names[-1])
    if (_SPLIT.findall(names[-1]) or [""])[0].casefold() in _ASKING:
        return ""
    around = [squeeze(name) for name in names[:-1]]
    beside = _squeezed(tuple(siblings))
    if own not in _EITHER or not (_in_thing(names[:-1]) or beside & _PRODUCT_SIBLINGS):
        kind = _by_name(own)
        if kind:
            return kind
    if around and own in _VALUES_OF and _by_name(around[-1]) in ("phone", "text", "name", "company"):
        return _by_name(around[-1])
    if own == "code" and beside & _ADDRESSES & {"street", "city", "town", "address"}:
        return "postcode"
    person = _about_somebody(names[:-1]) or bool(beside & _PERSONAL_SIBLINGS)
    if own == "name" and person and not _in_thing(names[-2:-1]):
        return SOMEBODY
    if own in ("taxid", "taxnr", "taxno", "registrationnumber", "companynumber") and person:
        return "taxid"
    if own in ("description", "text", "body", "content") and person and around:
        return "text"
    if own in _PEOPLE and not own.endswith("address"):
        return SOMEBODY
    return "address" if own in _PEOPLE else ""


@lru_cache(maxsize=1024)
def _squeezed(names: tuple[str, ...]) -> frozenset[str]:
    """The members of one object are asked for one by one; with hundreds of them this is most of the work."""
    return frozenset(map(squeeze, names))


def label_of_row(siblings: Collection[str], name: str) -> bool:
    """Whether a member `value` stands beside a member that says what it is a value of."""
    return squeeze(name) == "value" and bool({squeeze(other) for other in siblings} & _LABELS)


def squeeze(name: str) -> str:
    """A member's name for comparing: small letters and digits alone."""
    return "".join(filter(str.isalnum, name)).casefold()


def _by_name(own: str) -> str:
    shorter = _FIRST_PREFIXES.sub("", own)
    for name in dict.fromkeys((own, shorter, _FIRST_PREFIXES.sub("", shorter))):
        for kind, words in (
            ("name", _PERSON_NAMES),
            ("email", _EMAILS),
            ("phone", _PHONES),
            ("company", _COMPANIES),
            ("postcode", _POSTCODES),
            ("address", _ADDRESSES),
            ("taxid", _TAX_IDS),
            ("text", _TEXTS),
            ("birth", _BIRTHS),
            ("ip", _IPS),
            ("place", _PLACES),
            ("link", _LINKS),
        ):
            if name in words:
                return kind
    return next((kind for kind, endings in _ENDINGS if own.endswith(endings)), "")


def _about_somebody(names: Sequence[str]) -> bool:
    """Whether the nearest object around is about a person or a place where somebody lives."""
    return bool(names) and not _in_thing(names[-1:]) and any(_bare(name) in _PEOPLE for name in names[-2:])


def _bare(name: str) -> str:
    own = squeeze(name)
    return next((own.removesuffix(end) for end in ("ref", "details", "info") if own.endswith(end)), own)


def _in_thing(names: Sequence[str]) -> bool:
    return bool(names) and bool({word.casefold() for word in _SPLIT.findall(names[-1])} & _THINGS)
