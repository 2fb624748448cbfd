Feature: Lifecycle
  The CloudEvents that tell what became of a workflow and of each of its tasks, each once, in order.

  Scenario: What completes
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: completes
      version: '1.0.0'
    do:
      - first:
          set:
            x: 1
      - pause:
          wait: PT2S
      - last:
          set:
            x: 2
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    x: 2
    """
    And the lifecycle events of the workflow should be:
    """yaml
    [started, completed]
    """
    And the lifecycle events of first should be:
    """yaml
    [created, started, completed]
    """
    And the lifecycle events of pause should be:
    """yaml
    [created, started, completed]
    """
    And the lifecycle events of last should be:
    """yaml
    [created, started, completed]
    """
    And every lifecycle event should be a CloudEvent of the specification

  Scenario: What faults
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: faults
      version: '1.0.0'
    do:
      - fail:
          raise:
            error:
              type: https://noesis.example/errors/away
              status: 503
              title: Away
      - never:
          set:
            x: 1
    """
    When the workflow is executed
    Then the workflow should fault
    And the lifecycle events of the workflow should be:
    """yaml
    [started, faulted]
    """
    And the lifecycle events of fail should be:
    """yaml
    [created, started, faulted]
    """
    And the lifecycle events of never should be:
    """yaml
    []
    """
    And the fault that is told of fail should be:
    """yaml
    type: https://noesis.example/errors/away
    status: 503
    title: Away
    """
    And the fault that is told of the workflow should be:
    """yaml
    status: 503
    instance: /do/0/fail
    """
    And every lifecycle event should be a CloudEvent of the specification

  Scenario: What is caught faults alone
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: caught
      version: '1.0.0'
    do:
      - careful:
          try:
            - fail:
                raise:
                  error:
                    type: https://noesis.example/errors/away
                    status: 503
          catch:
            do:
              - note:
                  set:
                    caught: true
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    caught: true
    """
    And the lifecycle events of the workflow should be:
    """yaml
    [started, completed]
    """
    And the lifecycle events of fail should be:
    """yaml
    [created, started, faulted]
    """
    And the lifecycle events of note should be:
    """yaml
    [created, started, completed]
    """
    And the lifecycle events of careful should be:
    """yaml
    [created, started, completed]
    """
    And every lifecycle event should be a CloudEvent of the specification

  Scenario: What is tried again
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: tried-again
      version: '1.0.0'
    do:
      - careful:
          try:
            - flaky:
                call: http
                with:
                  method: get
                  endpoint: https://flaky.example/times/1
          catch:
            retry:
              delay: PT1S
              limit:
                attempt:
                  count: 3
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    attempt: 2
    """
    And the lifecycle events of the workflow should be:
    """yaml
    [started, completed]
    """
    And the lifecycle events of flaky should be:
    """yaml
    [created, started, faulted, created, retried, started, completed]
    """
    And every lifecycle event should be a CloudEvent of the specification

  Scenario: What is skipped
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: skips
      version: '1.0.0'
    do:
      - no:
          if: ${ false }
          set:
            x: 1
      - yes:
          set:
            x: 2
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    x: 2
    """
    And the lifecycle events of no should be:
    """yaml
    [created]
    """
    And the lifecycle events of yes should be:
    """yaml
    [created, started, completed]
    """
    And every lifecycle event should be a CloudEvent of the specification

  Scenario: Each round of a loop
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: loops
      version: '1.0.0'
    do:
      - each:
          for:
            each: n
            in: '[1, 2]'
          do:
            - round:
                set:
                  n: ${ $n }
    """
    When the workflow is executed
    Then the workflow should complete
    And the lifecycle events of round should be:
    """yaml
    [created, started, completed, created, started, completed]
    """
    And the lifecycle events of each should be:
    """yaml
    [created, started, completed]
    """
    And every lifecycle event should be a CloudEvent of the specification

  Scenario: Once, although it was killed
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: killed
      version: '1.0.0'
    do:
      - first:
          set:
            x: 1
      - pause:
          wait: PT2S
      - last:
          set:
            x: 2
    """
    And given the engine is killed when first has started
    And given the engine is killed when pause has started
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    x: 2
    """
    And the lifecycle events of the workflow should be:
    """yaml
    [started, completed]
    """
    And the lifecycle events of first should be:
    """yaml
    [created, started, completed]
    """
    And the lifecycle events of pause should be:
    """yaml
    [created, started, completed]
    """
    And every lifecycle event should be a CloudEvent of the specification
