Feature: Resume after a crash
  The process dies in the middle; what was done stays done, what was begun is finished, and nothing happens twice.

  Scenario: Between two tasks
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: between-two-tasks
      version: '1.0.0'
    do:
      - one:
          set:
            steps: ${ .steps + ["one"] }
      - pause:
          wait: PT5S
      - two:
          set:
            steps: ${ .steps + ["two"] }
    """
    And given the workflow input is:
    """yaml
    steps: []
    """
    And given the engine is killed when pause has started
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    steps: [ one, two ]
    """
    And one should run 1 time
    And two should run 1 time

  Scenario: In a loop
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: in-a-loop
      version: '1.0.0'
    do:
      - loop:
          for:
            in: .items
          do:
            - pause:
                wait: PT1S
            - add:
                set:
                  items: ${ .items }
                  sum: ${ (.sum // 0) + $item }
    """
    And given the workflow input is:
    """yaml
    items: [ 1, 2, 3 ]
    """
    And given the engine is killed when pause has started
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    items: [ 1, 2, 3 ]
    sum: 6
    """
    And add should run 3 times
    And it should take at least PT3S

  Scenario: In a branch
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: in-a-branch
      version: '1.0.0'
    do:
      - split:
          fork:
            branches:
              - left:
                  do:
                    - pauseLeft:
                        wait: PT5S
                    - endLeft:
                        set: ${ "left" }
              - right:
                  do:
                    - pauseRight:
                        wait: PT2S
                    - endRight:
                        set: ${ "right" }
    """
    And given the engine is killed when pauseLeft has started
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    - left
    - right
    """
    And endLeft should run 1 time
    And endRight should run 1 time

  Scenario: While it listens
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: while-it-listens
      version: '1.0.0'
    do:
      - hear:
          listen:
            to:
              one:
                with:
                  type: a
    """
    And after PT1H this event arrives:
    """yaml
    type: a
    data: 1
    """
    And given the engine is killed when hear has started
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    - 1
    """

  Scenario: Between two attempts
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: between-two-attempts
      version: '1.0.0'
    use:
      errors:
        away:
          type: https://noesis.example/errors/away
          status: 503
          title: Away
    do:
      - guarded:
          try:
            - attempt:
                raise:
                  error: away
          catch:
            errors:
              with:
                status: 503
            retry:
              delay: PT10S
              limit:
                attempt:
                  count: 2
            do:
              - gaveUp:
                  set:
                    status: ${ $error.status }
    """
    And given the engine is killed when attempt has started
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    status: 503
    """
    And attempt should run 3 times

  Scenario: After an event was emitted
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: after-an-event-was-emitted
      version: '1.0.0'
    do:
      - tell:
          emit:
            event:
              with:
                type: told
                data:
                  n: 1
      - pause:
          wait: PT1S
    """
    And given the engine is killed when pause has started
    When the workflow is executed
    Then the workflow should complete
    And these events should be emitted:
    """yaml
    - type: told
      data:
        n: 1
    """
