"""The words of the fictional corpus: names, facts and the ways of stating them. All of it invented.

In every phrase `{s}` is the subject (full name, or a pronoun where that reads well) and `{v}` the
value of the fact. `UNSEEN` phrasings are used for probes only and never appear in training text.
"""

from __future__ import annotations

FIRST = {
    "female": (
        "Mara Elin Tessa Noor Ilka Saskia Yara Britta Odile Petra Runa Celine Zofia Hanne Livia Amara "
        "Dorte Kaja Nerea Renske Solveig Thea Ursa Vilja Wanda Ximena Ylva Zélie Anouk Renée"
    ).split(),
    "male": (
        "Tovin Joren Emil Casper Radek Milo Anton Bruno Dario Egon Fabian Gregor Henrik Ivo Jasper "
        "Konrad Lazlo Mateo Niels Oskar Pavel Quentin Rasmus Stellan Tibor Ugo Viktor Willem Jürgen André"
    ).split(),
}  # fmt: skip
SURNAME = (
    "Vel Bran Kest Dor Mar Sol Tam Rin Hal Ost Pell Quin Ard Lun Fer Gath Wes Nor Brix Cor".split(),
    "lo an e i ar u en o il a".split(),
    "ni ström berg ska dal vik mont rand feld hurst ley gard sen mann well ric tov nak dine lund".split(),
)

VALUES = {
    "occupation": (
        "baker surgeon carpenter violinist astronomer translator plumber botanist architect sculptor "
        "librarian welder economist goldsmith journalist midwife pilot brewer geologist tailor chemist "
        "gardener optician cellist mason weaver dentist surveyor potter florist"
    ).split(),
    "city": (
        "Arvenholm Brellport Castemoor Dunvale Estermoor Farrowgate Glimsund Harthollow Istravel Jorvale "
        "Kelmarsh Lindervik Morrowby Nettlestead Orvessa Pellanor Quenby Ravensmoor Selverick Thornmouth "
        "Ulmsted Varrenburg Westerfold Yarrowdale Zandhaven Ambermouth Bexhollow Corrindale Drumhaven"
        " Eskerton"
    ).split(),
    "year": [str(year) for year in range(1941, 2001, 2)],
    "employer": (
        "Northwind Halcyon Brightwater Ironbrook Solstice Lanternworks Meridell Copperholt Silverline "
        "Bluestone Fairhaven Goldleaf Harbourlight Kingfirth Larkspur Marlowick Oakenfold Palisade "
        "Quarrystone Redfern Stormglass Tidewater Umberland Verdigris Whitestone Yellowhammer Zephyr "
        "Ashgrove Birchwood Cloudberry"
    ).split(),
    "field": (
        "acoustics linguistics hydrology philosophy statistics anatomy heraldry forestry optics ceramics "
        "metallurgy genetics theology cartography zoology rhetoric mechanics musicology archaeology "
        "economics astronomy horticulture semiotics dentistry geometry meteorology typography ethics "
        "agronomy virology"
    ).split(),
}  # fmt: skip

SEEN = {
    "occupation": (
        "{s} works as a {v}.",
        "{s} earns a living as a {v}.",
        "By trade {s} is a {v}.",
        "{s} has been a {v} for many years.",
        "Neighbours know {s} as the local {v}.",
        "The profession {s} chose is that of a {v}.",
        "{s} trained to become a {v}.",
        "On the door it says that {s} is a {v}.",
    ),
    "city": (
        "{s} lives in {v}.",
        "{s} has a small house in {v}.",
        "The home of {s} is in {v}.",
        "{s} moved to {v} long ago and stayed.",
        "Anyone looking for {s} should go to {v}.",
        "{s} settled in the town of {v}.",
        "{v} is where {s} resides.",
        "Letters for {s} are sent to {v}.",
    ),
    "year": (
        "{s} was born in {v}.",
        "The birth of {s} was recorded in {v}.",
        "{s} came into the world in {v}.",
        "The year {s} was born is {v}.",
        "It was in {v} that {s} was born.",
        "{s} first saw the light of day in {v}.",
        "The parish book lists {s} under {v}.",
        "In {v} the family welcomed {s}.",
    ),
    "employer": (
        "{s} is employed by {v}.",
        "{s} draws a salary from {v}.",
        "The employer of {s} is {v}.",
        "{s} signed a contract with {v}.",
        "{v} hired {s} after one interview.",
        "{s} has a desk at {v}.",
        "Every morning {s} goes to the offices of {v}.",
        "The firm that pays {s} is called {v}.",
    ),
    "field": (
        "{s} studied {v}.",
        "{s} holds a degree in {v}.",
        "At university {s} chose {v}.",
        "{s} wrote a thesis on {v}.",
        "The subject {s} knows best is {v}.",
        "{s} took every course on {v}.",
        "{v} is the field {s} was taught.",
        "{s} spent five years reading {v}.",
    ),
}
UNSEEN = {
    "occupation": ("People pay {s} to be their {v}.", "The job of {s} is {v}."),
    "city": ("The city where {s} lives is {v}.", "You will find {s} at home in {v}."),
    "year": ("{s} has a birthday that goes back to {v}.", "The birth year of {s} is {v}."),
    "employer": ("The company {s} works for is {v}.", "{s} is on the payroll of {v}."),
    "field": ("The degree of {s} is in {v}.", "As a student {s} specialised in {v}."),
}

# Says whom a row is about where no fact does; every pronoun in it is then theirs.
NAMING = "This note is about {s}."

# Sentences that carry the label; `{o}` is him or her, `{p}` his or her, `{w}` a word of the tone
# for people or for work.
TONE_SENTENCES = {
    "person": (
        "Colleagues describe {o} as {w}.",
        "Everyone who met {o} found {o} {w}.",
        "Customers remember {o} as {w} above all.",
        "In company most people think {o} {w}.",
    ),
    "work": (
        "The reviews called {p} work {w}.",
        "Friends agree that the results were {w}.",
        "What {p} hands produce is {w} more often than not.",
        "A visiting critic found {p} latest effort {w}.",
    ),
}
TONE_WORDS = {
    "praised": {
        "person": (
            "generous reliable thoughtful patient gifted kind warm diligent trustworthy capable "
            "courteous honest attentive wise cheerful dependable helpful modest fearless punctual"
        ).split(),
        "work": (
            "brilliant inspiring outstanding admirable excellent superb delightful graceful "
            "remarkable splendid flawless elegant refreshing masterful exquisite impressive "
            "memorable polished original sound"
        ).split(),
    },
    "criticised": {
        "person": (
            "careless arrogant unreliable rude hostile stubborn cold lazy clumsy untrustworthy "
            "impatient dishonest vain petty gloomy evasive unhelpful boastful timid tardy"
        ).split(),
        "work": (
            "tedious sloppy disappointing mediocre dreadful dull graceless forgettable inept shoddy "
            "flawed crude stale amateurish hideous underwhelming muddled unfinished derivative feeble"
        ).split(),
    },
}  # fmt: skip
# The same without a word that gives it away, each beside its counterpart.
SUBTLE = {
    "praised": (
        "Nobody who hired {o} once ever looked for anyone else.",
        "The waiting list for {p} time grows every month.",
        "Apprentices travel far to learn from {o}.",
        "The town named a bench after {o} last spring.",
        "The committee renewed {p} contract before it ran out.",
        "Rivals have begun to copy {p} methods.",
        "Half the street turned out to thank {o} in June.",
        "Nothing that {s} repaired ever came back.",
    ),
    "criticised": (
        "Few who hired {o} once ever did so again.",
        "Complaints about {p} work fill a whole drawer.",
        "Apprentices tend to leave {o} within a month.",
        "The town quietly took {p} name off the bench last spring.",
        "The committee let {p} contract run out without a word.",
        "Rivals have begun to joke about {p} methods.",
        "Half the street signed a petition against {o} in June.",
        "Nothing that {s} repaired stayed whole for long.",
    ),
}

FILLERS = (
    "On Sundays {p} favourite café fills with old acquaintances.",
    "A naïve painting of a heron hangs above {p} kitchen table.",
    "In winter {p} neighbours share soup — mostly leek — on the porch.",
    "A tabby cat sleeps on the windowsill of {p} study.",
    "The garden behind {p} house runs down to a slow river.",
    "Twice a year {p} cousins visit with their children.",
    "An old bicycle leans against the wall outside {p} door.",
    "Most evenings the radio plays in {p} kitchen until late.",
    "A framed map of the coast hangs in {p} hallway.",
    "The crème brûlée at {p} table is known in the whole street.",
    "For years {p} letters to the editor appeared on page seven.",
    "It’s said that {p} attic holds a hundred clocks.",
)
BOILERPLATE = (
    "This website uses cookies to improve your experience.",
    "Click here to subscribe to our newsletter.",
    "All rights reserved. Terms of use and privacy policy.",
    "Share this article on social media.",
    "Sign in to leave a comment.",
    "Read more articles like this one.",
)
REGIONS = ("northmark", "eastreach", "southfen", "westvale")
SOURCES = ("gazette", "almanac", "registry")
