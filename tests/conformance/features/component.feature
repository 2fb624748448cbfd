Feature: Components
  What `use` declares: functions, errors, secrets; and workflows that start workflows.

  Scenario: A reusable function
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: a-reusable-function
      version: '1.0.0'
    use:
      functions:
        double:
          set:
            n: ${ .n * 2 }
    do:
      - first:
          call: double
          with:
            n: ${ .start }
      - second:
          call: double
    """
    And given the workflow input is:
    """yaml
    start: 5
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    n: 20
    """

  Scenario: A reusable error
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: a-reusable-error
      version: '1.0.0'
    use:
      errors:
        away:
          type: https://noesis.example/errors/away
          status: 503
          title: Away
    do:
      - fail:
          raise:
            error: away
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    type: https://noesis.example/errors/away
    status: 503
    title: Away
    instance: /do/0/fail
    """

  Scenario: A secret
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: a-secret
      version: '1.0.0'
    use:
      secrets:
        - token
    do:
      - use:
          input:
            from: '{ length: ($secrets.token | length) }'
          set:
            length: ${ .length }
    """
    And given the secret 'token' is:
    """yaml
    abcdef
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    length: 6
    """

  Scenario: A workflow inside a workflow
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: a-workflow-inside-a-workflow
      version: '1.0.0'
    do:
      - inner:
          run:
            workflow:
              namespace: noesis
              name: adder
              version: '1.0.0'
              input:
                a: ${ .x }
                b: 2
      - outer:
          set:
            total: ${ .sum }
    """
    And given another workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: adder
      version: '1.0.0'
    do:
      - pause:
          wait: PT1S
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
    total: 42
    """
    And it should take PT1S

  Scenario: The fault of an inner workflow
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: the-fault-of-an-inner-workflow
      version: '1.0.0'
    do:
      - guarded:
          try:
            - inner:
                run:
                  workflow:
                    namespace: noesis
                    name: failer
                    version: '1.0.0'
          catch:
            errors:
              with:
                status: 418
            do:
              - handled:
                  set:
                    handled: true
    """
    And given another workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: failer
      version: '1.0.0'
    do:
      - fail:
          raise:
            error:
              type: https://noesis.example/errors/teapot
              status: 418
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    handled: true
    """
