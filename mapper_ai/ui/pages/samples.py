"""Samples: choose what the source really sends, look at its profile, and let a mapping be proposed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import streamlit as st

from connectors.scrub import scrub
from mapper_ai.core.fields import FieldProfile, Profile
from mapper_ai.core.profile import profile_records
from mapper_ai.services.profiling import fetch_samples
from mapper_ai.services.workspace import Sample, Workspace
from mapper_ai.ui import session
from mapper_ai.ui.parts.frame import FLOW_TITLES, PAGES, choose_flow, header, notice, shown_errors
from mapper_ai.ui.parts.profile_charts import drift_panel, profile_charts
from mapper_ai.ui.parts.records import MAX_SAMPLES, entity_of, read_folder, read_text
from mapper_ai.ui.parts.values import cell, exact_json, listed, percent, shortened
from sync.errors import SettingsError
from sync.settings import load_settings

_BUILT_IN, _UPLOAD, _CLARITY = "Built-in samples", "Upload", "From Clarity"


def page() -> None:
    """Draw the page."""
    header("Samples", icon="data_object")
    with shown_errors("The samples cannot be shown"):
        work = session.workspace()
        left, right = st.columns([2, 3], gap="medium")
        with left:
            flow = choose_flow(work.flows(), all_kinds=list(FLOW_TITLES))
            if flow is None:
                return
            stored = work.samples(flow)
            _source(work, flow, "secondary" if stored else "primary")
        with right:
            _propose(work, flow, stored)
        if stored:
            _profile(work, flow, stored)


def _source(work: Workspace, flow: str, kind: Literal["primary", "secondary"]) -> None:
    with st.container(border=True):
        st.markdown("**1 · Where the samples come from**")
        way = st.segmented_control(
            "Where the samples come from",
            [_BUILT_IN, _UPLOAD, _CLARITY],
            default=_BUILT_IN,
            required=True,
            key="sample-source",
            label_visibility="collapsed",
        )
        if way == _UPLOAD:
            _from_upload(work, flow, kind)
        elif way == _CLARITY:
            _from_clarity(work, flow, kind)
        else:
            _built_in(work, flow, kind)


def _built_in(work: Workspace, flow: str, kind: Literal["primary", "secondary"]) -> None:
    folder = session.surroundings().samples
    if folder is None:
        notice("info", "No sample folder is configured. Set MAPPER_SAMPLES, or upload files.")
        return
    with shown_errors("A sample file cannot be read"):
        found = read_folder(folder, entity_of(flow))
        st.code(str(folder), language=None)
        st.caption(f"{len(found)} {entity_of(flow)} records in this folder.")
        if st.button(
            f"Take these {len(found)}",
            key="take-built-in",
            icon=":material/download:",
            disabled=not found,
            type=kind,
        ):
            _store(work, flow, found)


def _from_upload(work: Workspace, flow: str, kind: Literal["primary", "secondary"]) -> None:
    files = st.file_uploader(
        "JSON or NDJSON: a record, a list of records, or webhook bodies",
        type=["json", "ndjson", "jsonl"],
        accept_multiple_files=True,
        key="sample-files",
    )
    most = st.number_input(
        "At most so many of each event",
        min_value=1,
        max_value=MAX_SAMPLES,
        value=None,
        placeholder="all of them",
        key="per-event",
        help="Of a file of webhook bodies: so many of order.created, so many of order.updated and so on, chosen by "
        f"their ids. {MAX_SAMPLES} samples are stored at most.",
    )
    st.caption("Before anything is stored, card data and secrets are removed and personal values become pseudonyms.")
    if st.button("Take the files", key="take-upload", icon=":material/upload:", disabled=not files, type=kind):
        with shown_errors("A file cannot be read"):
            found = [sample for file in files for sample in read_text(file.name, file.getvalue(), per_event=most)]
            _store(work, flow, found[:MAX_SAMPLES])


def _from_clarity(work: Workspace, flow: str, kind: Literal["primary", "secondary"]) -> None:
    try:
        configured = load_settings().clarity.configured
    except SettingsError as error:
        notice("warning", "The settings of Clarity do not fit", error.message)
        return
    if not configured:
        notice("info", "Clarity is not connected. Set CLARITY_API_URL, CLARITY_CLIENT_ID and CLARITY_CLIENT_SECRET.")
        return
    wanted = st.number_input("How many records", min_value=1, max_value=MAX_SAMPLES, value=25, key="clarity-count")
    if st.button("Fetch", key="take-clarity", icon=":material/cloud_download:", type=kind):
        with shown_errors("Clarity did not answer as expected"), st.spinner("Reading from Clarity"):
            settings = load_settings()
            rows = fetch_samples(settings.source_system.name, entity_of(flow), int(wanted), settings=settings)
            named = [
                Sample(f"{entity_of(flow)} {row.get('id', row.get('ID', number))}", row)
                for number, row in enumerate(rows, 1)
            ]
            _store(work, flow, named)


def _store(work: Workspace, flow: str, found: Sequence[Sample]) -> None:
    work.set_samples(flow, found)
    # For the person at this tab, in memory alone: nothing but pseudonyms is ever stored.
    st.session_state[f"real-{flow}"] = [scrub(sample.record) for sample in found]
    session.say_after_rerun(f"{len(found)} samples stored")
    st.rerun()


def _propose(work: Workspace, flow: str, stored: Sequence[Sample]) -> None:
    with st.container(border=True):
        st.markdown("**2 · Let a mapping be proposed**")
        if not stored:
            st.caption("No samples are stored for this flow yet. Take some on the left.")
            return
        st.text(f"{len(stored)} samples stored: {listed(sample.name for sample in stored)}")
        card = next((card for card in work.flows() if card.name == flow), None)
        kinds = work.kinds()
        if flow not in kinds:
            st.caption("A mapping of this kind cannot be proposed; its samples are used in review and preview.")
            return
        if card is not None and card.rows:
            st.caption(
                f"This flow has a mapping with {card.approved} of {card.rows} parts approved. Proposing anew "
                "replaces the draft; Undo on the review page brings it back. The saved file stays as it is."
            )
        with st.container(horizontal=True, gap="small"):
            propose = st.button(
                "Propose a mapping",
                key="propose",
                icon=":material/auto_awesome:",
                type="primary" if card is None or not card.rows else "secondary",
            )
            review = st.button(
                "Go to review",
                key="to-review",
                icon=":material/fact_check:",
                disabled=card is None or not card.rows,
            )
        if propose:
            with shown_errors("No mapping could be proposed"), st.spinner("Comparing fields"):
                work.start(flow, stored)
                st.switch_page(PAGES["review"], query_params={"flow": flow})
        if review:
            st.switch_page(PAGES["review"], query_params={"flow": flow})


def _profile(work: Workspace, flow: str, stored: Sequence[Sample]) -> None:
    records = _shown(flow, stored)
    found = profile_records(records)
    st.markdown(f"**Profile** · {len(found.fields)} fields in {found.record_count} records")
    fields, pictures, changes = st.tabs(["Fields", "Pictures", "Against the mapping"], key="profile-tabs")
    with pictures:
        profile_charts(found)
    with changes, shown_errors("The samples cannot be compared"):
        drift_panel(work, flow, records)
    with fields:
        _fields(found, stored, records)


def _fields(found: Profile, stored: Sequence[Sample], records: Sequence[dict[str, Any]]) -> None:
    st.dataframe(
        {
            "Path": [field.path for field in found.fields],
            "Types": [_types(field) for field in found.fields],
            "Format": ["" if field.format in ("empty", "text") else field.format for field in found.fields],
            "Present": [field.present_share for field in found.fields],
            "Values": [_nothing(field) for field in found.fields],
            "Key": [field.is_key for field in found.fields],
            "Distinct": [field.distinct for field in found.fields],
            "Length": [_range(field) for field in found.fields],
            "Examples": [shortened(cell(list(field.examples[:3])), 44) for field in found.fields],
        },
        hide_index=True,
        width="stretch",
        height=430,
        column_config={
            "Path": st.column_config.TextColumn(width=210),
            "Types": st.column_config.TextColumn(width=140),
            "Format": st.column_config.TextColumn(width=90),
            "Present": st.column_config.ProgressColumn(width=90, min_value=0, max_value=1, format="percent"),
            "Values": st.column_config.BarChartColumn(
                width=110, y_min=0, y_max=1, help="Four bars: with a value, null, empty, without the member"
            ),
            "Key": st.column_config.CheckboxColumn(width=50),
            "Distinct": st.column_config.NumberColumn(width=70),
            "Length": st.column_config.TextColumn(width=70),
            "Examples": st.column_config.TextColumn(width=285),
        },
        alt="Profile of the samples: one row a field",
    )
    _structure(found)
    with st.expander("One sample", icon=":material/data_object:"):
        names = [sample.name for sample in stored]
        name = st.selectbox("Sample", names, key="shown-sample", label_visibility="collapsed")
        record = next((row for sample, row in zip(stored, records, strict=True) if sample.name == name), None)
        if record is not None:
            st.code(exact_json(record), language="json", height=420)


def _shown(flow: str, stored: Sequence[Sample]) -> list[dict[str, Any]]:
    """The records as stored, or as they came where this tab took them and the person asks for it."""
    masked = [sample.record for sample in stored]
    real = st.session_state.get(f"real-{flow}")
    if real is None or len(real) != len(stored):
        st.caption("Personal values are shown as pseudonyms; only those are stored.")
        return masked
    revealed = st.toggle(
        "Show the real personal values",
        key=f"reveal-{flow}",
        help="They are in the memory of this tab alone; what is stored holds pseudonyms.",
    )
    return list(real) if revealed else masked


def _structure(found: Profile) -> None:
    """Lists and what points where, where there is anything to say."""
    if found.arrays:
        st.dataframe(
            {
                "List": [entry.path for entry in found.arrays],
                "Present": [entry.present_share for entry in found.arrays],
                "Empty": [entry.empty_share for entry in found.arrays],
                "Items": [f"{entry.min_length}, {entry.median_length}, {entry.max_length}" for entry in found.arrays],
            },
            hide_index=True,
            column_config={
                "Present": st.column_config.ProgressColumn(min_value=0, max_value=1, format="percent"),
                "Empty": st.column_config.ProgressColumn(min_value=0, max_value=1, format="percent"),
                "Items": st.column_config.TextColumn("Items: least, median, most"),
            },
            alt="Lists in the samples and how long they are",
        )
    for relation in found.relations:
        st.text(f"{relation.source} points at {relation.target} ({percent(relation.share)} found)")
    for order in found.time_orders:
        st.text(f"{order.earlier} never lies after {order.later}")


def _nothing(field: FieldProfile) -> list[float]:
    """Shares of the parents: with a value, null, blank, without the member."""
    present = field.present_share
    shares = (field.filled_share * present, field.null_share * present, field.empty_share * present, 1.0 - present)
    return [round(share, 4) for share in shares]


def _types(field: FieldProfile) -> str:
    if len(field.types) == 1:
        return next(iter(field.types))
    ordered = sorted(field.types.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {percent(share)}" for name, share in ordered)


def _range(field: FieldProfile) -> str:
    if not field.max_length:
        return ""
    return str(field.max_length) if field.min_length == field.max_length else f"{field.min_length}–{field.max_length}"


if __name__ == "__main__":
    page()
