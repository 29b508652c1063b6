"""What the invented store sells, to whom, and which taxes it charges.

Every name, address, code and price here is made up. E-mail domains are reserved for examples (RFC 2606) and
every subscriber number lies in 555-0100 to 555-0199. Tax names and rates are plausible for the region but
nobody's advice: the Kuwaiti one exists only to exercise three-decimal arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

STORE_ID = "store-1"
STORE_ZONE = "America/New_York"  # the store's one time zone; offsets in orders follow its daylight saving


@dataclass(frozen=True)
class Tax:
    """One tax by name.

    Attributes:
        rate: A fraction in [0, 1), not a percentage: 0.0825 is 8.25 %.
    """

    name: str
    rate: Decimal


@dataclass(frozen=True)
class Product:
    """One thing on sale.

    Attributes:
        product_id: None for a custom line that no catalogue knows.
        sku: None when the line has no SKU.
        price: Net list price in USD.
    """

    product_id: str | None
    sku: str | None
    name: str
    description: str
    price: Decimal
    unit: str = "each"
    active: bool = True


@dataclass(frozen=True)
class Region:
    """Where a buyer lives, what money is paid there and how it is taxed.

    Attributes:
        taxes: What an ordinary line is charged; three where a table has to combine them.
        reduced: Another rate that some goods get; None where the store sells none.
        shipping_taxed: Whether shipping bears the first tax.
        scale: Local price = USD price x scale, rounded half up to `step`.
        addresses: (street, city, state, postal code).
    """

    country: str
    currency: str
    taxes: tuple[Tax, ...]
    dial: str
    addresses: tuple[tuple[str, str, str, str], ...]
    reduced: Tax | None = None
    shipping_taxed: bool = False
    scale: Decimal = Decimal(1)
    step: Decimal = Decimal("0.05")


def _tax(name: str, rate: str) -> Tax:
    return Tax(name, Decimal(rate))


def _words(text: str) -> list[str]:
    return text.split()


REGIONS: dict[str, Region] = {
    "tx": Region(
        "US",
        "USD",
        (_tax("TX sales tax", "0.0825"),),
        "+1 512 555 01",
        (
            ("410 Example Bluff Road", "Austin", "TX", "78701"),
            ("77 Sample Creek Lane", "San Antonio", "TX", "78205"),
        ),
        shipping_taxed=True,
    ),
    "ny": Region(
        "US",
        "USD",
        (_tax("NY sales tax", "0.08875"),),
        "+1 212 555 01",
        (
            ("1500 Placeholder Avenue, Apt 9", "New York", "NY", "10001"),
            ("8 Specimen Street", "Brooklyn", "NY", "11201"),
        ),
    ),
    "on": Region(
        "CA",
        "CAD",
        (_tax("HST", "0.13"),),
        "+1 416 555 01",
        (
            ("600 Sample Street West", "Toronto", "ON", "M5V 1A1"),
            ("14 Maple Specimen Crescent", "Ottawa", "ON", "K1P 1A4"),
        ),
        shipping_taxed=True,
        scale=Decimal("1.35"),
    ),
    "bc": Region(
        "CA",
        "CAD",
        (_tax("GST", "0.05"), _tax("PST", "0.07")),
        "+1 604 555 01",
        (("905 Cedar Example Drive", "Vancouver", "BC", "V6B 1A1"),),
        scale=Decimal("1.35"),
    ),
    "gb": Region(
        "GB",
        "GBP",
        (_tax("VAT", "0.20"),),
        "+44 20 555 01",
        (
            ("12 Sample Mews", "London", "", "EC1A 1AA"),
            ("3 Placeholder Terrace", "Edinburgh", "", "EH1 1AA"),
        ),
        shipping_taxed=True,
        scale=Decimal("0.79"),
    ),
    "de": Region(
        "DE",
        "EUR",
        (_tax("MwSt", "0.19"),),
        "+49 30 555 01",
        (("Musterstraße 17", "Berlin", "BE", "10115"), ("Beispielweg 4a", "Köln", "NW", "50667")),
        reduced=_tax("MwSt ermäßigt", "0.07"),
        shipping_taxed=True,
        scale=Decimal("0.93"),
    ),
    "fr": Region(
        "FR",
        "EUR",
        (_tax("TVA", "0.20"),),
        "+33 1 555 01",
        (("5 rue de l'Exemple", "Lyon", "ARA", "69001"), ("41 quai du Modèle", "Nantes", "PDL", "44000")),
        reduced=_tax("TVA réduite", "0.055"),
        shipping_taxed=True,
        scale=Decimal("0.93"),
    ),
    "jp": Region(
        "JP",
        "JPY",
        (_tax("消費税", "0.10"),),
        "+81 3 555 01",
        (("見本町1-2-3", "千代田区", "東京都", "100-0001"), ("例示通り4-5", "北区", "大阪府", "530-0001")),
        shipping_taxed=True,
        scale=Decimal(149),
        step=Decimal(1),
    ),
    "kw": Region(
        "KW",
        "KWD",
        (_tax("VAT", "0.05"),),
        "+965 555 01",
        (("Block 4, Sample Street 12", "Kuwait City", "", "13001"),),
        shipping_taxed=True,
        scale=Decimal("0.307"),
        step=Decimal("0.005"),
    ),
    "qc": Region(
        "CA",
        "CAD",
        (_tax("GST", "0.05"), _tax("QST", "0.09975")),
        "+1 514 555 01",
        (("31 rue du Spécimen", "Montréal", "QC", "H2X 1Y4"),),
        shipping_taxed=True,
        scale=Decimal("1.35"),
    ),
    "la": Region(
        "US",
        "USD",
        (_tax("State tax", "0.04"), _tax("County tax", "0.015"), _tax("City tax", "0.00875")),
        "+1 504 555 01",
        (("220 Sample Levee Road", "New Orleans", "LA", "70112"),),
    ),
    "ch": Region(
        "CH",
        "CHF",
        (_tax("MWST", "0.081"),),
        "+41 44 555 01",
        (("Musterplatz 9", "Zürich", "ZH", "8001"),),
        reduced=_tax("MWST reduziert", "0.026"),
        shipping_taxed=True,
        scale=Decimal("0.88"),
    ),
    "kr": Region(
        "KR",
        "KRW",
        (_tax("VAT", "0.10"),),
        "+82 2 555 01",
        (("견본로 12", "서울", "", "04524"),),
        shipping_taxed=True,
        scale=Decimal(1370),
        step=Decimal(10),
    ),
    "bh": Region(
        "BH",
        "BHD",
        (_tax("VAT", "0.10"),),
        "+973 555 01",
        (("Road 2803, Sample Building 7", "Manama", "", "317"),),
        shipping_taxed=True,
        scale=Decimal("0.377"),
        step=Decimal("0.005"),
    ),
}

_ROWS = (
    ("KTL-GSN-17", "Gooseneck kettle 1.7 l", "Brushed steel, for the stove", "64.50", "each"),
    ("MUG-STN-04", "Stoneware mug", "Matt glaze, 350 ml", "14.25", "each"),
    ("BRD-OAK-30", "Oak cutting board", "End grain, 30 x 20 cm", "48.00", "each"),
    ("KNF-PAR-09", "Paring knife 9 cm", "Carbon steel, beech handle", "22.90", "each"),
    ("PAN-IRN-26", "Iron frying pan 26 cm", "Seasoned by hand", "59.95", "each"),
    ("TWL-LIN-02", "Linen tea towels", "Pair, washed flax", "19.80", "pair"),
    ("JAR-FER-1L", "Fermenting jar 1 l", "With airlock and weight", "27.35", "each"),
    ("SPC-SMK-80", "Smoked paprika 80 g", "Sweet, tin with a lid", "6.75", "each"),
    ("OIL-OLV-05", "Olive oil 0.5 l", "First pressing, dark bottle", "16.40", "bottle"),
    ("BWL-SET-3", "Mixing bowls", "Nested set of three", "38.10", "set"),
    ("GRN-BUR-01", "Hand grinder", "Ceramic burrs, 40 g", "72.00", "each"),
    ("SCL-DIG-5K", "Kitchen scale 5 kg", "Steps of 1 g, flat glass", "33.15", "each"),
    ("APR-CAN-BL", "Canvas apron, blue", "Cross back, two pockets", "41.65", "each"),
    ("TIM-MAG-60", "Magnetic timer", "60 minutes, wind-up", "11.95", "each"),
    ("BSK-RTN-L", "Rattan basket L", "For bread or fruit", "29.40", "each"),
    ("CND-BEE-20", "Beeswax candle 20 cm", "Burns about nine hours", "8.60", "each"),
    ("RCK-SPC-12", "Spice rack", "Twelve jars, wall mounted", "54.20", "each"),
    ("WHK-BAL-25", "Balloon whisk 25 cm", "Stainless wire", "12.30", "each"),
    ("BOK-BRD-EN", "Book: Slow Bread", "Hardcover, 240 pages", "26.00", "each"),
    ("CLS-KNF-2H", "Knife sharpening class", "Two hours, whetstones provided", "85.00", "seat"),
    ("FLT-CON-99", "Cone filters", "Unbleached, box of 99", "5.45", "box"),
    ("THR-PRB-01", "Probe thermometer", "Reads in three seconds", "31.70", "each"),
    ("STN-PIZ-38", "Pizza stone 38 cm", "Cordierite, discontinued", "44.90", "each"),
)
_DISCONTINUED = frozenset({"STN-PIZ-38"})
UNTAXED_PRODUCTS = frozenset({"BOK-BRD-EN", "CLS-KNF-2H"})

PRODUCTS: tuple[Product, ...] = tuple(
    Product(str(7001 + position), sku, name, description, Decimal(price), unit, active=sku not in _DISCONTINUED)
    for position, (sku, name, description, price, unit) in enumerate(_ROWS)
)

BULK_PRODUCTS: tuple[Product, ...] = (
    Product("7101", "WAX-PEL-KG", "Wax pellets", "Priced per 100 g", Decimal("12.345"), "100 g"),
    Product("7102", "THR-COT-M", "Cotton twine", "Priced per metre", Decimal("0.3875"), "m"),
    Product("7103", "CLY-RED-KG", "Red clay", "Priced per kg", Decimal("3.1250"), "kg"),
)

ODD_PRODUCTS: dict[str, tuple[Product, ...]] = {
    "unicode-text": (
        Product("7201", "TAJ-28", "Tajine Ø 28 cm – «Zaïre»", "Glaçure émaillée, № 5", Decimal("46.30")),
        # accents spelled as separate combining marks
        Product("7202", "CRM-04", "Cre\u0300me bru\u0302le\u0301e dishes", "Set of four", Decimal("24.80")),
        Product("7203", "CHA-01", "抹茶セット", "茶筅・茶碗・茶杓", Decimal("51.10")),
    ),
    "emoji-text": (
        Product("7204", "MUG-FOX", "Fox mug 🦊", "Hand painted ✨ dishwasher safe 👍🏽", Decimal("17.60")),
        Product("7205", "FLG-PRD", "Bunting 🏳️‍🌈 3 m", "Twelve flags 🎉", Decimal("13.45")),
    ),
    "html-text": (
        Product(
            "7206",
            "RUG-W01",
            "Kitchen rug <b>large</b>",
            "<p>Soft &amp; warm <strong>wool</strong></p><ul><li>70 x 140 cm</li></ul>",
            Decimal("88.25"),
        ),
        Product(
            "7207",
            "BWL-KOI",
            "Bowl &quot;Koi&quot; & lid",
            "<script>track('view')</script>Glazed inside,<br/>&nbsp;raw outside",
            Decimal("36.70"),
        ),
    ),
    "long-text": (
        Product(
            "7208",
            "SET-XXL",
            "Complete starter set for a shared kitchen, "
            + ", ".join(f"part {number}: utensil type {number}" for number in range(1, 13)),
            "Care instructions. " + "Rinse by hand, dry at once, oil once a month. " * 30,
            Decimal("129.00"),
        ),
    ),
}

FIRST_NAMES = (
    *_words("Adela Bruno Carmen Dmitri Esther Farid Greta Hugo Ines Jonas Katya Leon Mira"),
    *_words("Nils Odette Pavel Quinn Rosa Samir Thea Uma Viktor Wanda Xavier Yara Zeno"),
)
LAST_NAMES = (
    *_words("Abbott Barrow Calder Dunmore Ellery Farrow Gresham Halvorsen Ibarra Jessop Kestrel Lindqvist"),
    *_words("Marlowe Norwood Okafor Prescott Quillon Redfern Standish Thorne Underhill Vasquez Wexford Yardley Zeller"),
)
UNICODE_NAMES = (
    ("Zoë", "Brønsted-Šimić"),
    ("Þórdís", "Ægisdóttir"),
    ("Nguyễn Thị", "Hương"),
    ("花子", "見本"),
    ("Олена", "Зразкова"),
    ("محمد", "مثال"),
    ("Mary-Ann", "O’Sampleton"),
    ("Jose\u0301", "Mun\u0303oz"),  # combining marks
)
COMPANIES = (
    "Copper Lantern Bistro LLC",
    "Harrow & Finch Catering Ltd",
    "Muster & Söhne GmbH",
    "Placeholder Hospitality Inc.",
    "Specimen Tea Rooms Co-op",
    "Sample Harbour Canteens",
)
EXEMPT_COMPANY = "Sample Ridge School District"
LONG_COMPANY = (
    "The Worshipful Federation of Sample Kitchens, Demonstration Bakeries and Placeholder Refectories of the "
    "Greater Example Valley Incorporated"
)
MAIL_DOMAINS = ("mail.example.com", "example.org", "post.example", "example.net")
TERMS: dict[str, str | None] = {
    "terms-net-15": "Net 15",
    "terms-net-30": "Net 30",
    "terms-due-on-receipt": "Due on receipt",
    "terms-unknown": "2/10 EOM unless otherwise agreed",
    "terms-absent": None,
}
ORDER_NOTES = ("Leave at the side door", "Gift: no invoice in the box please", "Call before delivery")
