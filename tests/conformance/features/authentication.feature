Feature: Authentication
  As whom a call goes out: basic and bearer, inline, from `use`, and from a secret; and what a refusal is.

  Scenario: Basic
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: basic
      version: '1.0.0'
    do:
      - login:
          call: http
          with:
            method: get
            endpoint:
              uri: https://httpbin.org/basic-auth/anna/pass-one
              authentication:
                basic:
                  username: anna
                  password: pass-one
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    authenticated: true
    user: anna
    """

  Scenario: Basic with the wrong password
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: basic-wrong
      version: '1.0.0'
    do:
      - login:
          call: http
          with:
            method: get
            endpoint:
              uri: https://httpbin.org/basic-auth/anna/pass-one
              authentication:
                basic:
                  username: anna
                  password: pass-two
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    type: https://open-workflow-specification.org/spec/1.0.0/errors/communication
    status: 401
    instance: /do/0/login
    """

  Scenario: Nobody
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: nobody
      version: '1.0.0'
    do:
      - login:
          call: http
          with:
            method: get
            endpoint:
              uri: https://httpbin.org/basic-auth/anna/pass-one
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    type: https://open-workflow-specification.org/spec/1.0.0/errors/communication
    status: 401
    """

  Scenario: Basic with a password that is computed
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: basic-computed
      version: '1.0.0'
    do:
      - login:
          call: http
          with:
            method: get
            endpoint:
              uri: https://httpbin.org/basic-auth/anna/pass-one
              authentication:
                basic:
                  username: ${ .user }
                  password: ${ "pass-" + .number }
    """
    And given the workflow input is:
    """yaml
    user: anna
    number: one
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    authenticated: true
    user: anna
    """

  Scenario: Bearer
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: bearer
      version: '1.0.0'
    do:
      - login:
          call: http
          with:
            method: get
            endpoint:
              uri: https://httpbin.org/bearer/token-one
              authentication:
                bearer:
                  token: token-one
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    authenticated: true
    """

  Scenario: Bearer with the wrong token
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: bearer-wrong
      version: '1.0.0'
    do:
      - login:
          call: http
          with:
            method: get
            endpoint:
              uri: https://httpbin.org/bearer/token-one
              authentication:
                bearer:
                  token: token-two
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    type: https://open-workflow-specification.org/spec/1.0.0/errors/communication
    status: 401
    instance: /do/0/login
    """

  Scenario: A password is no token
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: basic-for-bearer
      version: '1.0.0'
    do:
      - login:
          call: http
          with:
            method: get
            endpoint:
              uri: https://httpbin.org/bearer/token-one
              authentication:
                basic:
                  username: anna
                  password: token-one
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    type: https://open-workflow-specification.org/spec/1.0.0/errors/communication
    status: 401
    """

  Scenario: From what the workflow declares
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: declared
      version: '1.0.0'
    use:
      authentications:
        crm:
          basic:
            username: anna
            password: pass-one
        bus:
          bearer:
            token: token-one
    do:
      - login:
          call: http
          with:
            method: get
            endpoint:
              uri: https://httpbin.org/basic-auth/anna/pass-one
              authentication:
                use: crm
          export:
            as:
              user: ${ .user }
      - token:
          call: http
          with:
            method: get
            endpoint:
              uri: https://httpbin.org/bearer/token-one
              authentication:
                use: bus
      - both:
          set:
            user: ${ $context.user }
            token: ${ .authenticated }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    user: anna
    token: true
    """

  Scenario: From a secret
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: from-a-secret
      version: '1.0.0'
    use:
      secrets:
        - crm-login
        - bus-token
    do:
      - login:
          call: http
          with:
            method: get
            endpoint:
              uri: https://httpbin.org/login
              authentication:
                basic:
                  use: crm-login
          export:
            as:
              user: ${ .user }
      - token:
          call: http
          with:
            method: get
            endpoint:
              uri: https://httpbin.org/token
              authentication:
                bearer:
                  use: bus-token
      - both:
          set:
            user: ${ $context.user }
            token: ${ .authenticated }
    """
    And given the secret 'crm-login' is:
    """yaml
    username: anna
    password: pass-one
    """
    And given the secret 'bus-token' is:
    """yaml
    token: token-one
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    user: anna
    token: true
    """

  Scenario: A refusal may be caught, and the right one used
    Given a workflow with definition:
    """yaml
    document:
      dsl: '1.0.3'
      namespace: noesis
      name: second-try
      version: '1.0.0'
    do:
      - careful:
          try:
            - wrong:
                call: http
                with:
                  method: get
                  endpoint:
                    uri: https://httpbin.org/bearer/token-one
                    authentication:
                      bearer:
                        token: token-two
          catch:
            errors:
              with:
                status: 401
            do:
              - right:
                  call: http
                  with:
                    method: get
                    endpoint:
                      uri: https://httpbin.org/bearer/token-one
                      authentication:
                        bearer:
                          token: token-one
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    authenticated: true
    """
    And wrong should fault
    And wrong should run 1 time
