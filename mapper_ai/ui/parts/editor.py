"""Where a part is changed: its source fields, its steps one by one or as text, words for a language model, checks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import streamlit as st

from mapper_ai.services import background, step_forms, writing
from mapper_ai.services.step_forms import Argument, StepForm
from mapper_ai.services.workspace import TargetRow, Workspace
from mapper_ai.ui import session
from mapper_ai.ui.parts.background import show_task
from mapper_ai.ui.parts.frame import kept_errors, notice, shown_errors
from mapper_ai.ui.parts.samples_table import samples_table
from mapper_ai.ui.parts.steps import check_steps, editable
from mapspec import SpecError

_TRIED = 5


def editor(work: Workspace, flow: str, row: TargetRow) -> None:
    """Draw the editor of one part."""
    if not editable(row.part):
        st.caption("As it stands in the mapping file. It is edited there, and approved here.")
        st.code(row.steps, language="yaml", wrap_lines=True, height=320)
        return
    _sources(work, flow, row)
    key = f"steps-{flow}-{row.part}-{row.digest}"
    text = str(st.session_state.setdefault(key, row.steps))
    writer = writer_of(work, flow, row.part, session.surroundings().user)
    text, notes = _take_written(writer, key, text)
    st.markdown("**Steps**")
    forms = step_forms.forms_of(text) if text.strip() else []
    for at, form in enumerate(forms or ()):
        _step(work, flow, key, at, form, text)
    _more(key, text)
    _words(work, flow, row, writer, notes, text)
    edited = st.text_area("The same as text, one step a line", key=key, height=110)
    _live(work, flow, row, edited)
    _checks(work, flow, row)


def _sources(work: Workspace, flow: str, row: TargetRow) -> None:
    known = work.source_fields(flow)
    chosen = st.multiselect(
        "Source fields",
        known,
        default=[source for source in row.sources if source in known],
        key=f"fields-{flow}-{row.part}-{row.digest}",
        placeholder="Choose fields; steps for them are proposed",
    )
    if chosen and tuple(chosen) != row.sources:
        st.button(
            "Use these fields",
            key="use-fields",
            icon=":material/swap_horiz:",
            on_click=take,
            args=(flow, row, chosen),
        )


def take(flow: str, row: TargetRow, sources: Sequence[str]) -> None:
    """Take other source fields, before the page is drawn."""
    with kept_errors("This source cannot be taken"):
        session.workspace().set_source(flow, row.part, sources, digest=row.digest, by=session.surroundings().user)
        session.say_after_rerun("Source changed; look at the samples, then accept")


def _step(work: Workspace, flow: str, key: str, at: int, form: StepForm, text: str) -> None:
    version = hashlib.sha256(text.encode()).hexdigest()[:12]  # other steps, other widgets: none keeps an old value
    with st.container(border=True, gap="small", key=f"step-{at}"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**{at + 1} · {form.name.replace('_', ' ')}**", help=form.words)
            if at:
                st.button(
                    "Up",
                    key=f"up-{at}-{version}",
                    type="tertiary",
                    on_click=_changed,
                    args=(key, lambda: step_forms.moved_up(text, at)),
                )
            st.button(
                "Remove",
                key=f"remove-{at}-{version}",
                type="tertiary",
                on_click=_changed,
                args=(key, lambda: step_forms.without_step(text, at)),
            )
        for argument in form.arguments:
            _argument(work, flow, key, at, argument, form.values.get(argument.name), text, version)


def _argument(
    work: Workspace, flow: str, key: str, at: int, argument: Argument, value: Any, text: str, version: str
) -> None:
    widget = f"arg-{at}-{argument.name}-{version}"
    label = argument.name.replace("_", " ")

    def changed() -> None:
        given = st.session_state[widget]
        with kept_errors("This does not fit"):
            read = step_forms.read_argument(given) if argument.kind == "yaml" else given
            st.session_state[key] = step_forms.with_argument(text, at, argument.name, read)

    if argument.kind == "choice":
        index = argument.choices.index(str(value)) if str(value) in argument.choices else None
        st.selectbox(label, argument.choices, index=index, key=widget, on_change=changed, placeholder="as usual")
    elif argument.kind == "bool":
        st.checkbox(label, value=value in (True, "true"), key=widget, on_change=changed)
    elif argument.kind == "int":
        st.number_input(
            label,
            value=None if value is None else int(value),
            min_value=argument.least,
            max_value=argument.most,
            step=1,
            key=widget,
            on_change=changed,
        )
    elif argument.kind == "path":
        known = work.source_fields(flow)
        options = known if value is None or value in known else [str(value), *known]
        st.selectbox(
            label,
            options,
            index=None if value is None else options.index(str(value)),
            key=widget,
            on_change=changed,
            accept_new_options=True,
            placeholder="source field",
        )
    elif argument.kind == "paths":
        chosen = [str(path) for path in (value if isinstance(value, list) else [value])]
        options = list(dict.fromkeys([*chosen, *work.source_fields(flow)]))
        st.multiselect(label, options, default=chosen, key=widget, on_change=changed, accept_new_options=True)
    else:
        shown = step_forms.argument_text(value) if argument.kind == "yaml" else str(value or "")
        st.text_input(label, value=shown, key=widget, on_change=changed)


def _changed(key: str, make: Callable[[], str]) -> None:
    with kept_errors("The steps cannot be changed this way"):
        st.session_state[key] = make()


def _more(key: str, text: str) -> None:
    words = {name: f"{name.replace('_', ' ')} · {theme.lower()}" for theme, name, _ in step_forms.operations()}
    widget = f"add-{key}"

    def added() -> None:
        name = st.session_state[widget]
        if name:
            _changed(key, lambda: step_forms.with_step(text, name))
            st.session_state[widget] = None

    st.selectbox(
        "Add a step",
        list(words),
        index=None,
        key=widget,
        format_func=words.__getitem__,
        on_change=added,
        placeholder="Add a step",
        label_visibility="collapsed",
    )


def writer_of(work: Workspace, flow: str, part: str, user: str) -> str:
    """Name of the language model's work in the background: one request a part and person at a time."""
    return f"write {work.root} {flow} {part} {user}"


def _take_written(writer: str, key: str, text: str) -> tuple[str, str]:
    """Steps that the language model has written go into the editor, unless they were changed there meanwhile.

    Gives the steps in the editor, and what is to be told.
    """
    task = background.look(writer)
    if task.phase != "done":
        return text, ""
    background.clear(writer)
    written = task.result
    if text != st.session_state.pop(f"{writer} from", text):
        return text, f"You have changed the steps since you asked, so yours stay. The model's:\n{written.steps}"
    st.session_state[key] = written.steps
    return written.steps, f"Look at the result, then save.\n{written.notes}"


def _words(work: Workspace, flow: str, row: TargetRow, writer: str, notes: str, text: str) -> None:
    if writing.problem():
        return
    request = st.text_input(
        "Say in plain words what the steps shall do",
        key=f"words-{flow}-{row.part}",
        placeholder="such as: the order number after the word Order",
        help="A language model writes the steps; they are tried on the samples before you see them. "
        "No value of a record leaves.",
    )

    def write() -> None:
        with kept_errors("The language model could not help"):
            spec, records = work.spec(flow), [sample.record for sample in work.samples(flow)]
            asked = partial(writing.write_steps, spec, row.part, request, records)
            background.start(writer, asked, abandon=True)
            st.session_state[f"{writer} from"] = text

    task = show_task(writer, "The language model writes the steps", "The language model could not help")
    if task.phase == "failed":
        background.clear(writer)  # told once; the words still stand there, to be changed
    if task.phase != "running":
        st.button(
            "Write the steps", key="write-steps", icon=":material/edit_note:", disabled=not request, on_click=write
        )
    if notes:
        notice("info", "Written by the language model", notes)


def _live(work: Workspace, flow: str, row: TargetRow, edited: str) -> None:
    changed = edited.strip() != row.steps.strip()
    problem = check_steps(work.spec(flow), row.part, edited) if changed and edited.strip() else None
    if problem is not None:
        notice("error", "These steps do not work yet", problem)
    elif changed and edited.strip():
        st.caption(":material/check_circle: The steps work. This is what they make of the samples:")
        try:
            samples_table(work.try_steps(flow, row.part, edited, limit=_TRIED), row.part)
        except SpecError as error:
            notice("error", "These steps do not work yet", error.message)
    else:
        st.caption("Unchanged.")
    st.button(
        "Save steps",
        key="save-steps",
        icon=":material/save:",
        type="primary" if changed else "secondary",
        disabled=not changed or not edited.strip() or problem is not None,
        on_click=_save,
        args=(flow, row, edited),
    )


def _save(flow: str, row: TargetRow, edited: str) -> None:
    with kept_errors("The steps cannot be saved"):
        session.workspace().set_steps(flow, row.part, edited, digest=row.digest, by=session.surroundings().user)
        session.say_after_rerun("Steps saved; look at the samples, then accept")


def _checks(work: Workspace, flow: str, row: TargetRow) -> None:
    if row.state == "unmapped":
        return
    st.markdown("**Checks**")
    edited = st.text_area(
        "Checks, one a line",
        value=row.checks,
        key=f"checks-{flow}-{row.part}-{row.digest}",
        height=70,
        placeholder="- {format: email}",
        help="What the value must fulfil, in the preview and before every write: format, length, between, at_least, "
        "at_most, integer, enum, pattern, money, date_window, unique.",
        label_visibility="collapsed",
    )
    if edited.strip() != row.checks.strip() and st.button("Save checks", key="save-checks", icon=":material/save:"):
        with shown_errors("These checks cannot be saved"):
            work.set_checks(flow, row.part, edited, digest=row.digest, by=session.surroundings().user)
            session.say_after_rerun("Checks saved; look at the samples, then accept")
            st.rerun()
