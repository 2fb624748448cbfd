Feature: Listen
  Events are taken once, in the order of their arrival, as the strategy says; the output is the list of them.

  Scenario: One event
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: one-event
      version: '1.0.0'
    do:
      - hear:
          listen:
            to:
              one:
                with:
                  type: order.placed
    """
    And after PT5S this event arrives:
    """yaml
    type: other
    data: 1
    """
    And after PT9S this event arrives:
    """yaml
    type: order.placed
    data:
      id: 7
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    - id: 7
    """
    And it should take PT9S

  Scenario: Any of several
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: any-of-several
      version: '1.0.0'
    do:
      - hear:
          listen:
            to:
              any:
                - with:
                    type: a
                - with:
                    type: b
    """
    And after PT1S this event arrives:
    """yaml
    type: c
    """
    And after PT2S this event arrives:
    """yaml
    type: b
    data: second
    """
    And after PT3S this event arrives:
    """yaml
    type: a
    data: first
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    - second
    """
    And it should take PT2S

  Scenario: Any event at all
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: any-event-at-all
      version: '1.0.0'
    do:
      - hear:
          listen:
            to:
              any: []
    """
    And after PT4S this event arrives:
    """yaml
    type: whatever
    data: 1
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    - 1
    """

  Scenario: All of several, in the order of arrival
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: all-of-several-in-the-order-of-arrival
      version: '1.0.0'
    do:
      - hear:
          listen:
            to:
              all:
                - with:
                    type: a
                - with:
                    type: b
    """
    And after PT1S this event arrives:
    """yaml
    type: b
    data: 1
    """
    And after PT2S this event arrives:
    """yaml
    type: b
    data: 2
    """
    And after PT3S this event arrives:
    """yaml
    type: a
    data: 3
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    - 1
    - 3
    """
    And it should take PT3S

  Scenario: Until a condition holds
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: until-a-condition-holds
      version: '1.0.0'
    do:
      - hear:
          listen:
            to:
              any:
                - with:
                    type: reading
              until: (. | length) == 3
    """
    And after PT1S this event arrives:
    """yaml
    type: reading
    data: 1
    """
    And after PT2S this event arrives:
    """yaml
    type: noise
    data: 0
    """
    And after PT3S this event arrives:
    """yaml
    type: reading
    data: 2
    """
    And after PT4S this event arrives:
    """yaml
    type: reading
    data: 3
    """
    And after PT5S this event arrives:
    """yaml
    type: reading
    data: 4
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    - 1
    - 2
    - 3
    """
    And it should take PT4S

  Scenario: Until another event, which is not in the output
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: until-another-event-which-is-not-in-the-output
      version: '1.0.0'
    do:
      - hear:
          listen:
            to:
              any:
                - with:
                    type: reading
              until:
                one:
                  with:
                    type: stop
    """
    And after PT1S this event arrives:
    """yaml
    type: reading
    data: 1
    """
    And after PT2S this event arrives:
    """yaml
    type: reading
    data: 2
    """
    And after PT3S this event arrives:
    """yaml
    type: stop
    data: 9
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    - 1
    - 2
    """
    And it should take PT3S

  Scenario: The whole envelope
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: the-whole-envelope
      version: '1.0.0'
    do:
      - hear:
          listen:
            to:
              one:
                with:
                  type: a
            read: envelope
          output:
            as: '{ type: .[0].type, subject: .[0].subject, data: .[0].data }'
    """
    And after PT1S this event arrives:
    """yaml
    type: a
    subject: s1
    data: 5
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    type: a
    subject: s1
    data: 5
    """

  Scenario: A filter by regular expression
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: a-filter-by-regular-expression
      version: '1.0.0'
    do:
      - hear:
          listen:
            to:
              one:
                with:
                  type: com\.shop\..*
                  subject: order-[0-9]+
    """
    And after PT1S this event arrives:
    """yaml
    type: com.shop.order
    subject: order-x
    data: 1
    """
    And after PT2S this event arrives:
    """yaml
    type: com.shop.order
    subject: order-12
    data: 2
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    - 2
    """

  Scenario: A filter by the data
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: a-filter-by-the-data
      version: '1.0.0'
    do:
      - hear:
          listen:
            to:
              one:
                with:
                  type: vitals
                  data: ${ .temperature > 38 }
    """
    And after PT1S this event arrives:
    """yaml
    type: vitals
    data:
      temperature: 37
    """
    And after PT2S this event arrives:
    """yaml
    type: vitals
    data:
      temperature: 39
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    - temperature: 39
    """

  Scenario: Correlation with what is expected
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: correlation-with-what-is-expected
      version: '1.0.0'
    do:
      - hear:
          listen:
            to:
              one:
                with:
                  type: payment
                correlate:
                  order:
                    from: .data.order
                    expect: ${ .id }
    """
    And given the workflow input is:
    """yaml
    id: o-2
    """
    And after PT1S this event arrives:
    """yaml
    type: payment
    data:
      order: o-1
    """
    And after PT2S this event arrives:
    """yaml
    type: payment
    data:
      order: o-2
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    - order: o-2
    """
    And it should take PT2S

  Scenario: Correlation of events with each other
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: correlation-of-events-with-each-other
      version: '1.0.0'
    do:
      - hear:
          listen:
            to:
              all:
                - with:
                    type: a
                  correlate:
                    room:
                      from: .data.room
                - with:
                    type: b
                  correlate:
                    room:
                      from: .data.room
    """
    And after PT1S this event arrives:
    """yaml
    type: a
    data:
      room: 1
    """
    And after PT2S this event arrives:
    """yaml
    type: b
    data:
      room: 2
    """
    And after PT3S this event arrives:
    """yaml
    type: b
    data:
      room: 1
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    - room: 1
    - room: 1
    """
    And it should take PT3S

  Scenario: Each event is worked on, one after the other
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: each-event-is-worked-on-one-after-the-other
      version: '1.0.0'
    do:
      - hear:
          listen:
            to:
              any:
                - with:
                    type: reading
              until: (. | length) == 2
          foreach:
            item: reading
            at: place
            do:
              - work:
                  wait: PT10S
              - double:
                  set:
                    value: ${ $reading * 2 }
                    place: ${ $place }
    """
    And after PT1S this event arrives:
    """yaml
    type: reading
    data: 5
    """
    And after PT2S this event arrives:
    """yaml
    type: reading
    data: 6
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    - value: 10
      place: 0
    - value: 12
      place: 1
    """
    And work should run 2 times
    And it should take PT21S

  Scenario: The output of each event is shaped
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: the-output-of-each-event-is-shaped
      version: '1.0.0'
    do:
      - hear:
          listen:
            to:
              any:
                - with:
                    type: reading
              until: (. | length) == 2
          foreach:
            output:
              as: .value
    """
    And after PT1S this event arrives:
    """yaml
    type: reading
    data:
      value: 1
    """
    And after PT2S this event arrives:
    """yaml
    type: reading
    data:
      value: 2
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    - 1
    - 2
    """

  Scenario: An event is taken once
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: an-event-is-taken-once
      version: '1.0.0'
    do:
      - first:
          listen:
            to:
              one:
                with:
                  type: a
      - second:
          listen:
            to:
              one:
                with:
                  type: a
    """
    And after PT1S this event arrives:
    """yaml
    type: a
    data: 1
    """
    And after PT2S this event arrives:
    """yaml
    type: a
    data: 2
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    - 2
    """
    And it should take PT2S

  Scenario: An event that came early is not lost
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: an-event-that-came-early-is-not-lost
      version: '1.0.0'
    do:
      - pause:
          wait: PT10S
      - hear:
          listen:
            to:
              one:
                with:
                  type: a
    """
    And after PT1S this event arrives:
    """yaml
    type: a
    data: 1
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    - 1
    """
    And it should take PT10S

  Scenario: Without the event it waits
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: without-the-event-it-waits
      version: '1.0.0'
    do:
      - hear:
          listen:
            to:
              one:
                with:
                  type: never
    """
    When the workflow is executed
    Then the workflow should still wait
