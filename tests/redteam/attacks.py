"""The attacks we know: what is tried, what holds it, and the tests that fail where it does not hold."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack. `tests` are pytest ids; all of them must pass for it to count as held."""

    name: str
    held: str
    tests: tuple[str, ...]


_PROMPTS, _DEEDS, _GUESS = (f"tests/redteam/test_{name}.py" for name in ("prompts", "deeds", "guessing"))
_OIDC, _HOOK = "tests/api/test_oidc.py", "tests/coordination/test_webhook.py"
_APPROVALS, _LEAKS = "tests/governance/test_approvals.py", "tests/leaks/test_leaks.py"
#: Over HTTP, on a server process of its own.
_LIVE = "tests/redteam/test_live.py"
_JQ, _HTTP = "tests/kg/test_jq.py", "tests/coordination/effectors/test_http.py"

ATTACKS = (
    Attack(
        "prompt injection in records, tickets and answers",
        "material is marked as material; a draft beyond the declared capabilities is refused; the gate decides on the rest",
        (f"{_PROMPTS}::test_material_is_never_an_instruction",
         f"{_PROMPTS}::test_a_model_that_obeys_the_ticket_gets_no_further_than_what_its_agent_declares"),
    ),
    Attack(
        "personal data drawn out to a model",
        "labelled values and patterns are masked in whatever an agent asks; content filters are rules on callModel",
        (f"{_PROMPTS}::test_nothing_personal_leaves_whatever_the_record_says_and_the_agent_pours",
         f"{_PROMPTS}::test_a_content_filter_holds_back_what_a_rule_names"),
    ),
    Attack(
        "data sent out by an effect",
        "host and labels of what would leave are facts of the decision that begins it",
        (f"{_DEEDS}::test_what_leaves_is_decided_on_where_it_goes_and_what_it_holds",),
    ),
    Attack(
        "confused deputy",
        "whoever acts for another may do and see only what both may",
        ("tests/governance/test_view.py::test_an_agent_sees_for_another_only_what_both_may_see",
         f"{_APPROVALS}::test_i5_holds_for_whom_an_agent_acts"),
    ),
    Attack(
        "approval replayed",
        "an answer belongs to one decision of one proposal, and expires",
        (f"{_DEEDS}::test_an_answer_to_one_proposal_opens_no_other",
         f"{_APPROVALS}::test_expiry_ends_answering_and_counting",
         f"{_LIVE}::test_no_approval_is_replayed_and_nobody_approves_an_own_edit_under_another_name"),
    ),
    Attack(
        "approval, decision, rule or control forged",
        "platform classes are taken from nobody as records and from no agent as proposals",
        (f"{_DEEDS}::test_no_agent_forges_a_record_of_the_platform",
         f"{_LIVE}::test_no_record_of_the_platform_is_forged_by_a_boss"),
    ),
    Attack(
        "a rule changed by its author after it was read",
        "the reviewer names the version that was read; another one is refused",
        ("tests/governance/test_lifecycle.py::test_what_its_author_changed_since_it_was_read_is_not_put_in_force",),
    ),
    Attack(
        "somebody's emergency guessed by ids that follow from names",
        "to whoever neither holds nor sees it, and has no right over it, it is not there; each try is on record",
        ("tests/api/test_breakglass.py::test_a_stranger_learns_of_nobodys_emergency",),
    ),
    Attack(
        "a hidden key guessed by handing in a record of another class",
        "it is decided, and on record, before anything is said of the key",
        ("tests/api/test_mutations.py::test_a_key_of_a_hidden_entity_of_another_class_is_told_to_nobody_without_a_right",),
    ),
    Attack(
        "a hidden thing shown by what it crowds out: search hits, neighbours, edges",
        "each list holds as many visible ones whatever is hidden, or says that it cannot",
        ("tests/kg/search/test_search.py::test_no_hidden_text_and_no_hidden_neighbour_takes_a_visible_ones_place",
         "tests/kg/test_reader.py::test_no_number_of_hidden_edges_hides_a_visible_one_unsaid"),
    ),
    Attack(
        "a run under the id of a switch, a rule or a claim, to be read as it or to keep it from being set",
        "ids that are made from names are the platform's",
        ("tests/runs/test_runs.py::test_no_run_takes_an_id_that_the_platform_makes_from_a_name",
         "tests/api/test_runs.py::test_who_may_only_start_runs_stops_nothing_and_keeps_nobody_from_stopping"),
    ),
    Attack(
        "one's own order that finds the run of somebody else by its id",
        "for whom a run acts is a part of what the same order is",
        ("tests/runs/test_starters.py::test_one_id_of_two_who_act_for_different_people_is_not_one_run",),
    ),
    Attack(
        "a no, or a role or delegation taken, in the moment in which an effect begins",
        "the commit that begins expects the answers, their givers and their delegations as they were read",
        ("tests/coordination/test_answered.py::test_a_no_that_was_taken_before_it_begins_ends_it",
         "tests/coordination/test_answered.py::test_a_voice_that_counts_no_more_when_it_begins_is_not_counted",
         "tests/coordination/test_answered.py::test_a_lent_role_that_is_gone_when_it_begins_is_not_counted"),
    ),
    Attack(
        "self-approval through a second identity",
        "every identity and natural person of the proposing chain is left out",
        (f"{_APPROVALS}::test_i5_nobody_approves_an_own_proposal",
         "tests/governance/test_lifecycle.py::test_a_second_identity_of_the_author_is_no_second_pair_of_eyes",
         f"{_LIVE}::test_no_approval_is_replayed_and_nobody_approves_an_own_edit_under_another_name"),
    ),
    Attack(
        "a rule or agent that removes its own trace",
        "versions stay, decisions name them, and no agent closes what belongs to the platform",
        (f"{_DEEDS}::test_a_rule_cannot_remove_the_trace_of_its_own_decision",
         f"{_DEEDS}::test_no_agent_removes_a_rule_or_the_decision_on_itself"),
    ),
    Attack(
        "ids guessed, and told apart by answer or road",
        "what is hidden and what is not there take the same road and get the same answer",
        (f"{_GUESS}::test_an_id_that_is_hidden_answers_like_one_that_is_not_there",
         f"{_GUESS}::test_both_take_the_same_road_through_the_store",
         f"{_GUESS}::test_a_report_on_what_is_hidden_says_what_one_on_nothing_says",
         f"{_LIVE}::test_a_guessed_id_is_answered_like_one_that_is_not_there"),
    ),
    Attack(
        "cursors forged; filters, orders, counts and search as an oracle",
        "no answer depends on what its reader may not see: random twins of worlds",
        (f"{_LEAKS}::test_i10_whatever_is_asked_the_answer_does_not_depend_on_what_is_hidden",
         "tests/api/test_pages.py::test_a_garbled_cursor_is_one_clear_error",
         f"{_LIVE}::test_cursors_orders_counts_and_search_are_no_oracle"),
    ),
    Attack(
        "floods: deep and broad questions, aliases, batches, large bodies",
        "bounds on depth, aliases, tokens, cost and bytes, held before anything runs; one question a request",
        ("tests/api/test_limits.py::test_too_much_is_refused",
         f"{_LIVE}::test_a_flood_in_one_question_is_refused_before_anything_runs",
         f"{_LIVE}::test_a_body_that_is_no_question_is_one_sentence"),
    ),
    Attack(
        "JWT confusion: none, HS for RS, kid as a path, expired, wrong audience",
        "one algorithm family, keys by id from the issuer alone",
        (f"{_OIDC}::test_whatever_is_wrong_with_a_token_it_opens_nothing_and_says_no_more",
         f"{_LIVE}::test_a_forged_token_opens_nothing_and_hears_no_more_than_any_other",
         f"{_LIVE}::test_nobody_gets_in_without_a_key"),
    ),
    Attack(
        "SSRF through webhooks and OpenAPI calls",
        "each address of a name is checked and the checked one is used; no redirects",
        (f"{_HOOK}::test_no_private_address_hides", f"{_HOOK}::test_every_address_of_a_name_is_checked_and_resolved_once",
         f"{_HOOK}::test_it_connects_to_the_checked_address_whatever_the_name_says_later",
         f"{_HTTP}::test_what_may_not_be_is_refused_before_anything_is_sent",
         f"{_LIVE}::test_no_webhook_reaches_this_machine"),
    ),
    Attack(
        "jq bombs",
        "a child process with bounded memory, a deadline, no files and no processes",
        (f"{_JQ}::test_an_endless_or_huge_program_is_stopped_and_the_next_runs",
         f"{_JQ}::test_the_child_may_open_no_file_and_start_no_process"),
    ),
    Attack(
        "YAML and regex bombs",
        "bounds on size, depth and aliases; patterns without backtracking beyond a bound",
        ("tests/workflow/test_reading.py::test_what_is_hostile_gets_one_sentence_soon",
         "tests/governance/test_pii.py::test_a_long_hostile_text_takes_no_long_time"),
    ),
    Attack(
        "Cypher and SQL injection",
        "queries are constants; values are parameters",
        ("tests/kg/test_neo4j_questions.py::test_no_query_is_put_together_from_values",
         "tests/coordination/effectors/test_sql.py::test_a_parameter_is_a_value_never_sql"),
    ),
    Attack(
        "Cedar injection through names, ids and values",
        "requests are JSON, never text; names are quoted",
        ("tests/governance/test_hostile.py::test_injection_through_names_ids_and_values",),
    ),
    Attack(
        "path traversal",
        "paths are opened part by part below the root; dots and links are refused",
        ("tests/coordination/effectors/test_file.py::test_no_path_leads_out",
         "tests/coordination/effectors/test_file.py::test_no_link_leads_out",
         f"{_LIVE}::test_no_path_leads_to_a_file"),
    ),
    Attack(
        "log injection",
        "control characters leave escaped",
        ("tests/api/test_logs.py::test_no_value_forges_a_line",
         f"{_LIVE}::test_no_header_forges_a_line_or_another_host"),
    ),
    Attack(
        "secrets in logs, errors and receipts",
        "secrets are replaced; an error never repeats a value",
        ("tests/api/test_logs.py::test_no_secret_and_no_address_of_a_person_gets_into_a_line",
         f"{_HTTP}::test_a_secret_shows_up_nowhere",
         f"{_LIVE}::test_nothing_secret_is_in_the_log_of_that_process",
         "tests/governance/test_hostile.py::test_values_outside_the_table_never_allow_and_are_never_repeated"),
    ),
    Attack(
        "malformed input to every parser (fuzzed)",
        "any text is a value or one clear sentence",
        ("tests/governance/test_hostile.py::test_any_text_is_a_rule_or_one_clear_error",
         "tests/workflow/test_reading.py::test_no_text_breaks_the_reader",
         "tests/redteam/test_parsers.py"),
    ),
)  # fmt: skip
