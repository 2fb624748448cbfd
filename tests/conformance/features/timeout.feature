Feature: Timeout
  What takes too long is interrupted with the timeout error, at the level that declared the limit.

  Scenario: A task that takes too long
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: a-task-that-takes-too-long
      version: '1.0.0'
    do:
      - slow:
          timeout:
            after: PT5S
          wait: PT1H
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    type: https://open-workflow-specification.org/spec/1.0.0/errors/timeout
    status: 408
    instance: /do/0/slow
    """
    And it should take PT5S

  Scenario: A task that is quick enough
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: a-task-that-is-quick-enough
      version: '1.0.0'
    do:
      - quick:
          timeout:
            after: PT5S
          wait: PT4S
    """
    When the workflow is executed
    Then the workflow should complete
    And it should take PT4S

  Scenario: A reusable timeout
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: a-reusable-timeout
      version: '1.0.0'
    use:
      timeouts:
        short:
          after:
            seconds: 2
    do:
      - slow:
          timeout: short
          wait: PT1H
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    type: https://open-workflow-specification.org/spec/1.0.0/errors/timeout
    status: 408
    """
    And it should take PT2S

  Scenario: The workflow itself
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: the-workflow-itself
      version: '1.0.0'
    timeout:
      after: PT10S
    do:
      - one:
          wait: PT6S
      - two:
          wait: PT6S
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    type: https://open-workflow-specification.org/spec/1.0.0/errors/timeout
    status: 408
    """
    And it should take PT10S
    And one should complete

  Scenario: A timeout that is caught
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: a-timeout-that-is-caught
      version: '1.0.0'
    do:
      - guarded:
          try:
            - slow:
                timeout:
                  after: PT5S
                wait: PT1H
          catch:
            errors:
              with:
                status: 408
            do:
              - late:
                  set:
                    late: ${ $error.status }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    late: 408
    """
    And it should take PT5S

  Scenario: The outer limit is shorter than the inner
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: the-outer-limit-is-shorter-than-the-inner
      version: '1.0.0'
    do:
      - outer:
          timeout:
            after: PT2S
          do:
            - inner:
                timeout:
                  after: PT9S
                wait: PT1H
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    type: https://open-workflow-specification.org/spec/1.0.0/errors/timeout
    status: 408
    instance: /do/0/outer
    """
    And it should take PT2S

  Scenario: Listening is interrupted too
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: listening-is-interrupted-too
      version: '1.0.0'
    do:
      - hear:
          timeout:
            after: PT30S
          listen:
            to:
              one:
                with:
                  type: never
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    type: https://open-workflow-specification.org/spec/1.0.0/errors/timeout
    status: 408
    """
    And it should take PT30S
