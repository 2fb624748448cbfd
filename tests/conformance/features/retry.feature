Feature: Retry
  A caught error is tried again by its policy; a count is how often, the first attempt not counted.

  Scenario: Constant delay
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: constant-delay
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
              delay: PT3S
              backoff:
                constant: {}
              limit:
                attempt:
                  count: 4
            do:
              - gaveUp:
                  set:
                    status: ${ $error.status }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    status: 503
    """
    And attempt should run 5 times
    And it should take PT12S

  Scenario: Linear delay
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: linear-delay
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
              delay: PT1S
              backoff:
                linear: {}
              limit:
                attempt:
                  count: 3
            do:
              - gaveUp:
                  set:
                    status: ${ $error.status }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    status: 503
    """
    And attempt should run 4 times
    And it should take PT6S

  Scenario: Exponential delay
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: exponential-delay
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
              delay: PT1S
              backoff:
                exponential: {}
              limit:
                attempt:
                  count: 4
            do:
              - gaveUp:
                  set:
                    status: ${ $error.status }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    status: 503
    """
    And attempt should run 5 times
    And it should take PT15S

  Scenario: Limit of the whole time
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: limit-of-the-whole-time
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
                duration: PT35S
            do:
              - gaveUp:
                  set:
                    status: ${ $error.status }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    status: 503
    """
    And attempt should run 4 times
    And it should take PT30S

  Scenario: Limit of one attempt
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: limit-of-one-attempt
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
            - slow:
                wait: PT1H
          catch:
            errors:
              with:
                status: 408
            retry:
              delay: PT1S
              limit:
                attempt:
                  count: 2
                  duration: PT10S
            do:
              - gaveUp:
                  set:
                    status: ${ $error.status }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    status: 408
    """
    And slow should run 3 times
    And it should take PT32S

  Scenario: Jitter stays within its range
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: jitter-stays-within-its-range
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
              delay: PT1S
              jitter:
                from: PT1S
                to: PT2S
              limit:
                attempt:
                  count: 3
            do:
              - gaveUp:
                  set:
                    status: ${ $error.status }
    """
    When the workflow is executed
    Then the workflow should complete
    And it should take at least PT6S
    And it should take at most PT9S

  Scenario: A reusable policy
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: a-reusable-policy
      version: '1.0.0'
    use:
      retries:
        twice:
          delay: PT2S
          limit:
            attempt:
              count: 2
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
            retry: twice
            do:
              - gaveUp:
                  set:
                    status: ${ $error.status }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    status: 503
    """
    And attempt should run 3 times
    And it should take PT4S

  Scenario: A condition ends the retries
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: a-condition-ends-the-retries
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
              when: $error.status == 500
              delay: PT1S
            do:
              - gaveUp:
                  set:
                    status: ${ $error.status }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    status: 503
    """
    And attempt should run 1 time
    And it should take PT0S

  Scenario: Retries used up and nothing else said
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: retries-used-up-and-nothing-else-said
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
              delay: PT1S
              limit:
                attempt:
                  count: 1
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    type: https://noesis.example/errors/away
    status: 503
    instance: /do/0/guarded/try/0/attempt
    """
    And attempt should run 2 times

  Scenario: An error that is not caught is not retried
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: an-error-that-is-not-caught-is-not-retried
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
                status: 404
            retry:
              delay: PT1S
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    status: 503
    """
    And attempt should run 1 time

  Scenario: A call that recovers
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: a-call-that-recovers
      version: '1.0.0'
    do:
      - guarded:
          try:
            - attempt:
                call: http
                with:
                  method: get
                  endpoint: https://flaky.example/times/2
          catch:
            errors:
              with:
                status: 503
            retry:
              delay: PT1S
              limit:
                attempt:
                  count: 5
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    attempt: 3
    """
    And attempt should run 3 times
