Feature: Wait
  A wait lasts exactly as long as it says, and its output is its input.

  Scenario: Inline duration
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: inline-duration
      version: '1.0.0'
    do:
      - pause:
          wait:
            minutes: 1
            seconds: 30
    """
    And given the workflow input is:
    """yaml
    x: 1
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    x: 1
    """
    And it should take PT90S

  Scenario: ISO 8601 duration
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: iso-8601-duration
      version: '1.0.0'
    do:
      - pause:
          wait: P1DT1H
    """
    When the workflow is executed
    Then the workflow should complete
    And it should take P1DT1H

  Scenario: Duration from an expression
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: duration-from-an-expression
      version: '1.0.0'
    do:
      - pause:
          wait: ${ "PT\(.seconds)S" }
    """
    And given the workflow input is:
    """yaml
    seconds: 7
    """
    When the workflow is executed
    Then the workflow should complete
    And it should take PT7S

  Scenario: A task with a false condition does not wait
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: a-task-with-a-false-condition-does-not-wait
      version: '1.0.0'
    do:
      - pause:
          if: .late
          wait: PT1H
      - next:
          set:
            done: true
    """
    And given the workflow input is:
    """yaml
    late: false
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    done: true
    """
    And it should take PT0S
    And pause should not run

  Scenario: Two waits follow each other
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: two-waits-follow-each-other
      version: '1.0.0'
    do:
      - first:
          wait: PT1S
      - second:
          wait: PT2S
    """
    When the workflow is executed
    Then the workflow should complete
    And it should take PT3S
    And second should run after first
