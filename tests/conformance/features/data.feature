Feature: Data flow
  Input, output, context and schemas, in the order that the specification gives.

  Scenario: The context outlives the tasks
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: the-context-outlives-the-tasks
      version: '1.0.0'
    do:
      - first:
          set:
            n: 1
          export:
            as: '{ seen: ((($context.seen) // []) + [.n]) }'
      - second:
          set:
            n: 2
          export:
            as: '{ seen: ((($context.seen) // []) + [.n]) }'
      - third:
          set:
            all: ${ $context.seen }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    all: [ 1, 2 ]
    """

  Scenario: The input of the workflow is shaped
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: the-input-of-the-workflow-is-shaped
      version: '1.0.0'
    input:
      from: .order
    output:
      as: '{ result: . }'
    do:
      - take:
          set:
            id: ${ .id }
            raw: ${ $workflow.input.order.id }
    """
    And given the workflow input is:
    """yaml
    order:
      id: 3
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    result:
      id: 3
      raw: 3
    """

  Scenario: An input that does not fit its schema
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: an-input-that-does-not-fit-its-schema
      version: '1.0.0'
    input:
      schema:
        document:
          type: object
          required: [ id ]
    do:
      - take:
          set:
            id: ${ .id }
    """
    And given the workflow input is:
    """yaml
    name: x
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    type: https://open-workflow-specification.org/spec/1.0.0/errors/validation
    status: 400
    """
    And take should not run

  Scenario: An output that does not fit its schema
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: an-output-that-does-not-fit-its-schema
      version: '1.0.0'
    do:
      - make:
          set:
            n: text
          output:
            schema:
              document:
                properties:
                  n:
                    type: integer
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    type: https://open-workflow-specification.org/spec/1.0.0/errors/validation
    status: 400
    instance: /do/0/make
    """

  Scenario: An expression that fails
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: an-expression-that-fails
      version: '1.0.0'
    do:
      - make:
          set:
            n: ${ .text + 1 }
    """
    And given the workflow input is:
    """yaml
    text: abc
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    type: https://open-workflow-specification.org/spec/1.0.0/errors/expression
    status: 400
    instance: /do/0/make
    """

  Scenario: Expressions in data are never evaluated
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: expressions-in-data-are-never-evaluated
      version: '1.0.0'
    do:
      - first:
          set:
            text: ${ .text }
      - second:
          set:
            again: ${ .text }
    """
    And given the workflow input is:
    """yaml
    text: ${ 1 + 1 }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    again: ${ 1 + 1 }
    """

  Scenario: Leaving a list early
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: leaving-a-list-early
      version: '1.0.0'
    do:
      - outer:
          do:
            - first:
                set:
                  n: 1
                then: exit
            - never:
                set:
                  n: 2
      - next:
          set:
            n: ${ .n + 10 }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    n: 11
    """
    And never should not run

  Scenario: Ending the workflow from within
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: ending-the-workflow-from-within
      version: '1.0.0'
    do:
      - outer:
          do:
            - first:
                set:
                  n: 1
                then: end
      - never:
          set:
            n: 2
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    n: 1
    """
    And never should not run

  Scenario: A loop that stops early
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: a-loop-that-stops-early
      version: '1.0.0'
    do:
      - loop:
          for:
            each: n
            in: .numbers
          while: ($n < 3)
          do:
            - add:
                set:
                  numbers: ${ .numbers }
                  seen: ${ (.seen // []) + [$n] }
          output:
            as: .seen
    """
    And given the workflow input is:
    """yaml
    numbers: [ 1, 2, 3, 4 ]
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    [ 1, 2 ]
    """
    And add should run 2 times

  Scenario: A loop without items passes its input on
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: a-loop-without-items-passes-its-input-on
      version: '1.0.0'
    do:
      - loop:
          for:
            in: .numbers
          do:
            - never:
                set:
                  n: 1
    """
    And given the workflow input is:
    """yaml
    numbers: []
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    numbers: []
    """
    And never should not run
