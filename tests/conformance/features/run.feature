Feature: Run
  A workflow inside a workflow: its version, its waits, its faults, and what of it the outer one sees.

  Scenario: The version that was asked for
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: asks-for-a-version
      version: '1.0.0'
    do:
      - old:
          run:
            workflow:
              namespace: noesis
              name: greeter
              version: '1.0.0'
          export:
            as:
              earlier: ${ .said }
      - new:
          run:
            workflow:
              namespace: noesis
              name: greeter
              version: '2.0.0'
      - both:
          set:
            said: ${ .said }
            earlier: ${ $context.earlier }
    """
    And given another workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: greeter
      version: '1.0.0'
    do:
      - say:
          set:
            said: first
    """
    And given another workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: greeter
      version: '2.0.0'
    do:
      - say:
          set:
            said: second
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    said: second
    earlier: first
    """

  Scenario: An inner workflow sees nothing of the outer one's context
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: keeps-its-context
      version: '1.0.0'
    do:
      - keep:
          set:
            x: 1
          export:
            as:
              secret: 7
      - inner:
          run:
            workflow:
              namespace: noesis
              name: nosy
              version: '1.0.0'
      - after:
          set:
            inner: ${ .seen }
            outer: ${ $context.secret }
    """
    And given another workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: nosy
      version: '1.0.0'
    do:
      - look:
          set:
            seen: ${ $context.secret == null }
          export:
            as:
              secret: 8
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    inner: true
    outer: 7
    """

  Scenario: Once for each item, one after the other
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: runs-for-each
      version: '1.0.0'
    do:
      - each:
          for:
            each: n
            in: ${ .numbers }
          do:
            - inner:
                run:
                  workflow:
                    namespace: noesis
                    name: slow-adder
                    version: '1.0.0'
                    input:
                      a: ${ $n }
                      b: 10
                export:
                  as:
                    sums: ${ ($context.sums // []) + [.sum] }
      - all:
          set:
            sums: ${ $context.sums }
    """
    And given another workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: slow-adder
      version: '1.0.0'
    do:
      - pause:
          wait: PT2S
      - add:
          set:
            sum: ${ .a + .b }
    """
    And given the workflow input is:
    """yaml
    numbers: [1, 2, 3]
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    sums: [11, 12, 13]
    """
    And inner should run 3 times
    And it should take PT6S

  Scenario: A time-out around an inner workflow
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: waits-no-longer
      version: '1.0.0'
    do:
      - inner:
          run:
            workflow:
              namespace: noesis
              name: sleeper
              version: '1.0.0'
          timeout:
            after: PT2S
    """
    And given another workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: sleeper
      version: '1.0.0'
    do:
      - sleep:
          wait: PT1H
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    type: https://open-workflow-specification.org/spec/1.0.0/errors/timeout
    status: 408
    instance: /do/0/inner
    """
    And it should take PT2S
    And inner should fault

  Scenario: The fault of an inner workflow is caught, and it is run anew
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: tries-again
      version: '1.0.0'
    do:
      - careful:
          try:
          - inner:
              run:
                workflow:
                  namespace: noesis
                  name: failing
                  version: '1.0.0'
          catch:
            as: problem
            retry:
              delay: PT3S
              limit:
                attempt:
                  count: 2
            do:
              - note:
                  set:
                    status: ${ $problem.status }
                    title: ${ $problem.title }
    """
    And given another workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: failing
      version: '1.0.0'
    do:
      - work:
          wait: PT1S
      - fail:
          raise:
            error:
              type: https://noesis.example/errors/busy
              status: 503
              title: Busy
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    status: 503
    title: Busy
    """
    And inner should run 3 times

  Scenario: Without waiting its input goes on
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: does-not-wait
      version: '1.0.0'
    do:
      - inner:
          run:
            workflow:
              namespace: noesis
              name: slow-adder
              version: '1.0.0'
              input:
                a: 1
                b: 2
            await: false
      - after:
          set:
            kept: ${ .x }
    """
    And given another workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: slow-adder
      version: '1.0.0'
    do:
      - pause:
          wait: PT2S
      - add:
          set:
            sum: ${ .a + .b }
    """
    And given the workflow input is:
    """yaml
    x: 40
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    kept: 40
    """

  Scenario: Killed while an inner workflow runs, it goes on and runs it once
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: is-killed
      version: '1.0.0'
    do:
      - inner:
          run:
            workflow:
              namespace: noesis
              name: slow-adder
              version: '1.0.0'
              input:
                a: 1
                b: 2
      - after:
          set:
            total: ${ .sum }
    """
    And given another workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: slow-adder
      version: '1.0.0'
    do:
      - pause:
          wait: PT2S
      - add:
          set:
            sum: ${ .a + .b }
    """
    And given the engine is killed when inner has started
    And given the engine is killed when pause has started
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    total: 3
    """
    And inner should run 1 time
    And it should take PT2S
