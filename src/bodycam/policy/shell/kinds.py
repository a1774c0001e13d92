"""The kinds of nodes that the grammar has, by what they are to the walk."""

from typing import Final

WORDS: Final = frozenset(
    [
        "word",
        "string",
        "raw_string",
        "ansi_c_string",
        "translated_string",
        "concatenation",
        "simple_expansion",
        "expansion",
        "command_substitution",
        "process_substitution",
        "number",
        "arithmetic_expansion",
        "brace_expression",
        "command_name",
        "extglob_pattern",
        "regex",
        "$",
        "==",
        "=~",
    ]
)
"""What a word is made of, or is."""

COMPOUND: Final = frozenset(
    [
        "subshell",
        "compound_statement",
        "if_statement",
        "while_statement",
        "for_statement",
        "c_style_for_statement",
        "case_statement",
    ]
)
"""Statements that are made of others."""

PARTS: Final = frozenset(["do_group", "elif_clause", "else_clause", "case_item"])
"""What stands in such statements and holds others."""

ARITHMETIC: Final = frozenset(
    [
        "binary_expression",
        "unary_expression",
        "postfix_expression",
        "ternary_expression",
        "parenthesized_expression",
        "subscript",
    ]
)
"""What sums are made of."""

STATEMENTS: Final = COMPOUND | frozenset(
    [
        "command",
        "redirected_statement",
        "pipeline",
        "list",
        "negated_command",
        "declaration_command",
        "unset_command",
        "test_command",
        "variable_assignment",
        "variable_assignments",
        "function_definition",
    ]
)
"""All statements."""
