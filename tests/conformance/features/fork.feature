Feature: Fork
  Branches run side by side; all of them are awaited, or the first to end wins.

  Scenario: Outputs keep the order of the branches
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: outputs-keep-the-order-of-the-branches
      version: '1.0.0'
    do:
      - split:
          fork:
            branches:
              - slow:
                  do:
                    - pause:
                        wait: PT5S
                    - result:
                        set:
                          name: slow
              - quick:
                  set:
                    name: quick
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    - name: slow
    - name: quick
    """
    And it should take PT5S

  Scenario: Branches take as long as the slowest
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: branches-take-as-long-as-the-slowest
      version: '1.0.0'
    do:
      - split:
          fork:
            branches:
              - a:
                  wait: PT3S
              - b:
                  wait: PT7S
              - c:
                  wait: PT5S
    """
    When the workflow is executed
    Then the workflow should complete
    And it should take PT7S

  Scenario: The first to end wins
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: the-first-to-end-wins
      version: '1.0.0'
    do:
      - race:
          fork:
            compete: true
            branches:
              - slow:
                  do:
                    - long:
                        wait: PT1H
                    - slowResult:
                        set:
                          winner: slow
              - quick:
                  do:
                    - short:
                        wait: PT2S
                    - quickResult:
                        set:
                          winner: quick
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    winner: quick
    """
    And it should take PT2S
    And slowResult should not run

  Scenario: A fault of a branch is the fault of the fork
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: a-fault-of-a-branch-is-the-fault-of-the-fork
      version: '1.0.0'
    do:
      - split:
          fork:
            branches:
              - fine:
                  wait: PT1H
              - broken:
                  raise:
                    error:
                      type: https://noesis.example/errors/broken
                      status: 500
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    status: 500
    instance: /do/0/split/fork/branches/1/broken
    """

  Scenario: A fault of a branch can be caught around the fork
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: a-fault-of-a-branch-can-be-caught-around-the-fork
      version: '1.0.0'
    do:
      - guarded:
          try:
            - split:
                fork:
                  branches:
                    - broken:
                        raise:
                          error:
                            type: https://noesis.example/errors/broken
                            status: 500
                    - fine:
                        set:
                          fine: true
          catch:
            do:
              - handled:
                  set:
                    handled: ${ $error.status }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    handled: 500
    """

  Scenario: Branches inside branches
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: branches-inside-branches
      version: '1.0.0'
    do:
      - outer:
          fork:
            branches:
              - inner:
                  fork:
                    branches:
                      - a:
                          set:
                            n: 1
                      - b:
                          set:
                            n: 2
              - c:
                  set:
                    n: 3
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    - - n: 1
      - n: 2
    - n: 3
    """

  Scenario: Every branch has the input of the fork
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: every-branch-has-the-input-of-the-fork
      version: '1.0.0'
    do:
      - split:
          fork:
            branches:
              - double:
                  set:
                    n: ${ .n * 2 }
              - square:
                  set:
                    n: ${ .n * .n }
    """
    And given the workflow input is:
    """yaml
    n: 3
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    - n: 6
    - n: 9
    """
