Feature: Schedule
  A workflow starts by itself as its schedule says.

  Scenario: At an interval, whether or not the last run has ended
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: at-an-interval-whether-or-not-the-last-run-has-ended
      version: '1.0.0'
    schedule:
      every: PT10M
    do:
      - long:
          wait: PT15M
    """
    And given it is 2026-03-02T08:00:00+00:00
    When the schedule runs for PT35M
    Then the workflow should have been started 3 times
    And run 1 should have started at 2026-03-02T08:10:00+00:00
    And run 3 should have started at 2026-03-02T08:30:00+00:00

  Scenario: By a cron line
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: by-a-cron-line
      version: '1.0.0'
    schedule:
      cron: 0 9 * * 1-5
    do:
      - work:
          set:
            done: true
    """
    And given it is 2026-03-06T08:00:00+00:00
    When the schedule runs for P4D
    Then the workflow should have been started 2 times
    And run 1 should have started at 2026-03-06T09:00:00+00:00
    And run 2 should have started at 2026-03-09T09:00:00+00:00
    And run 2 should complete with output:
    """yaml
    done: true
    """

  Scenario: Again some time after the last run ended
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: again-some-time-after-the-last-run-ended
      version: '1.0.0'
    schedule:
      after: PT10M
    do:
      - work:
          wait: PT5M
    """
    And given it is 2026-03-02T08:00:00+00:00
    When the schedule runs for PT40M
    Then the workflow should have been started 3 times
    And run 1 should have started at 2026-03-02T08:00:00+00:00
    And run 2 should have started at 2026-03-02T08:15:00+00:00
    And run 3 should have started at 2026-03-02T08:30:00+00:00

  Scenario: On an event, which is the input
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: on-an-event-which-is-the-input
      version: '1.0.0'
    schedule:
      on:
        one:
          with:
            type: order.placed
    do:
      - take:
          set:
            orders: ${ map(.id) }
    """
    And after PT1M this event arrives:
    """yaml
    type: order.placed
    data:
      id: 1
    """
    And after PT2M this event arrives:
    """yaml
    type: other
    data:
      id: 2
    """
    And after PT3M this event arrives:
    """yaml
    type: order.placed
    data:
      id: 3
    """
    When the schedule runs for PT1H
    Then the workflow should have been started 2 times
    And run 1 should complete with output:
    """yaml
    orders: [ 1 ]
    """
    And run 2 should complete with output:
    """yaml
    orders: [ 3 ]
    """

  Scenario: On all of several events
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: on-all-of-several-events
      version: '1.0.0'
    schedule:
      on:
        all:
          - with:
              type: a
          - with:
              type: b
    do:
      - take:
          set:
            found: ${ . }
    """
    And after PT1M this event arrives:
    """yaml
    type: a
    data: 1
    """
    And after PT2M this event arrives:
    """yaml
    type: b
    data: 2
    """
    When the schedule runs for PT1H
    Then the workflow should have been started 1 time
    And run 1 should complete with output:
    """yaml
    found: [ 1, 2 ]
    """
