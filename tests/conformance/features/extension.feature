Feature: Extensions
  Tasks that every task of a kind has before and after it; they run aside, unless one leaves with exit and so takes its place.

  Scenario: Before and after every task
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: before-and-after-every-task
      version: '1.0.0'
    use:
      extensions:
        - told:
            extend: all
            before:
              - tellBefore:
                  emit:
                    event:
                      with:
                        type: before
                        subject: ${ $task.reference }
            after:
              - tellAfter:
                  emit:
                    event:
                      with:
                        type: after
                        subject: ${ $task.name }
    do:
      - work:
          set:
            done: true
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    done: true
    """
    And these events should be emitted:
    """yaml
    - type: before
      subject: /do/0/work
    - type: after
      subject: work
    """

  Scenario: In the place of a call
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: in-the-place-of-a-call
      version: '1.0.0'
    use:
      extensions:
        - mock:
            extend: call
            when: $task.with.endpoint == "https://mocked.example/pet"
            before:
              - answer:
                  set:
                    name: Milou
                  then: exit
    do:
      - getPet:
          call: http
          with:
            method: get
            endpoint: https://mocked.example/pet
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    name: Milou
    """

  Scenario: Only where its condition holds
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: only-where-its-condition-holds
      version: '1.0.0'
    use:
      extensions:
        - mock:
            extend: set
            when: $task.name == "second"
            before:
              - answer:
                  set:
                    replaced: true
                  then: exit
    do:
      - first:
          set:
            first: true
      - second:
          set:
            second: true
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    replaced: true
    """
    And first should complete with output:
    """yaml
    first: true
    """
